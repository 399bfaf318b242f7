/// What RBAC cannot say: a role allows a patch of any pod or of none, whatever the patch changes and wherever the pod runs.
/// Policies of the API server's (ValidatingAdmissionPolicy, Kubernetes 1.30) can.
struct AdmissionPolicies {
    /// The controller's.
    let namespace: String

    private static let name = "kmesh-bypass-controller"
    static let label = "kmesh.net/bypass"
    static let status = "kmesh.net/bypass-status"

    private var controller: String { "system:serviceaccount:\(namespace):bypass-controller" }

    /// They limit the controller's token to what the controller writes, on its own node.
    var ofController: [String] { [pods, events] }

    private var pods: String {
        """
        # The role below lets the controller's token patch every pod of the cluster. This policy limits it to what the
        # controller writes, on pods of the node that the token was issued for. It needs Kubernetes 1.30: on older clusters
        # leave it out (--no-admission-policy; admissionPolicies of the chart), and know what a stolen token can do.
        \(policy(Self.name, operations: "[UPDATE]", resources: "[pods, pods/*]"))
        \(matchesController)
          variables:
        \(Self.node)
        \(Self.map("labels", "oldLabels"))
        \(Self.map("annotations", "oldAnnotations"))
          validations:
        \(Self.hasNode)
            - expression: has(object.spec.nodeName) && object.spec.nodeName == variables.node
              reason: Forbidden
              message: the pod is not on the node that this token was issued for
            # The API server itself ignores a change of the status here.
            - expression: "!has(request.subResource) || request.subResource == ''"
              reason: Forbidden
              message: the controller changes no subresource of a pod
            - expression: object.spec == oldObject.spec
              reason: Forbidden
              message: the controller changes nothing in the spec of a pod
            - expression: >-
                \(Self.areKept("labels", "oldLabels", but: "false", butRemoved: "k == '\(Self.label)'"))
              reason: Forbidden
              message: the controller removes the label \(Self.label), and changes no other
            - expression: >-
                \(Self.areKept("annotations", "oldAnnotations", but: "k == '\(Self.status)'", butRemoved: "k == '\(Self.status)'"))
              reason: Forbidden
              message: the controller changes the annotation \(Self.status), and no other
            - expression: >-
                (has(object.metadata.finalizers) ? object.metadata.finalizers : [])
                == (has(oldObject.metadata.finalizers) ? oldObject.metadata.finalizers : [])
                && (has(object.metadata.ownerReferences) ? object.metadata.ownerReferences : [])
                == (has(oldObject.metadata.ownerReferences) ? oldObject.metadata.ownerReferences : [])
              reason: Forbidden
              message: the controller changes neither finalizers nor owners of a pod
        \(binding(Self.name))
        """
    }

    /// A token without it could write Events as any other component, and rewrite those that are there.
    private var events: String {
        let name = Self.name + "-events"
        return """
            # It writes Events about pods, in its own name, and changes no other.
            \(policy(name, operations: "[CREATE, UPDATE]", resources: "[events]"))
            \(matchesController)
              variables:
            \(Self.node)
              validations:
            \(Self.hasNode)
                - expression: >-
                    \(Self.isOwn("object"))
                  reason: Forbidden
                  message: the controller writes Events about pods only, and as \(Self.name) on its own node
                - expression: >-
                    request.operation != 'UPDATE' || (\(Self.isOwn("oldObject"))
                    && object.involvedObject == oldObject.involvedObject)
                  reason: Forbidden
                  message: the controller changes only its own Events, and not what they are about
            \(binding(name))
            """
    }

    /// A sample, printed by itself.
    ///
    /// - Parameter groups: who may bypass pods.
    func forLabel(groups: [GroupName]) -> String {
        let name = "kmesh-bypass-label"
        let words = groups.map(\.description).joined(separator: ", ")
        let list = groups.map { "'\($0)'" }.joined(separator: ", ")
        return """
            # A sample, to be edited: who may bypass the sidecars of pods. Members of the groups below may; all others that
            # may patch a pod may only remove the label. A label in the template of a Deployment or the like is denied with
            # the pods that it would make: their creator is a controller of Kubernetes, which is in no such group.
            # Apply it:   kmesh-bypassctl manifest --label-policy GROUP | kubectl apply -f -
            \(policy(name, operations: "[CREATE, UPDATE]", resources: "[pods]"))
              matchConditions:
                - name: is-not-the-controller
                  expression: request.userInfo.username != '\(controller)'
                - name: is-not-a-member
                  expression: >-
                    !has(request.userInfo.groups) || !request.userInfo.groups.exists(g, g in [\(list)])
              variables:
            \(Self.map("labels", "oldLabels"))
            \(Self.map("annotations", "oldAnnotations"))
              validations:
                - expression: >-
                    !('\(Self.label)' in variables.labels) || ('\(Self.label)' in variables.oldLabels
                    && variables.labels['\(Self.label)'] == variables.oldLabels['\(Self.label)'])
                  reason: Forbidden
                  message: "only members of these groups may set the label \(Self.label): \(words)"
                # Without this one, another could prolong or widen a bypass that a member has started.
                - expression: >-
                    \(Self.areKept("annotations", "oldAnnotations", but: "false", butRemoved: "false", where: "k.startsWith('\(Self.label)')"))
                  reason: Forbidden
                  message: "only members of these groups may change annotations \(Self.label)*: \(words)"
            \(binding(name))
            """
    }

    // MARK: parts

    private func policy(_ name: String, operations: String, resources: String) -> String {
        """
        apiVersion: admissionregistration.k8s.io/v1
        kind: ValidatingAdmissionPolicy
        metadata:
          name: \(name)
          labels:
            app.kubernetes.io/name: \(Self.name)
        spec:
          failurePolicy: Fail
          matchConstraints:
            resourceRules:
              - apiGroups: [""]
                apiVersions: [v1]
                operations: \(operations)
                resources: \(resources)
        """
    }

    private func binding(_ name: String) -> String {
        """
        ---
        apiVersion: admissionregistration.k8s.io/v1
        kind: ValidatingAdmissionPolicyBinding
        metadata:
          name: \(name)
          labels:
            app.kubernetes.io/name: \(Self.name)
        spec:
          policyName: \(name)
          validationActions: [Deny]

        """
    }

    private var matchesController: String {
        """
          matchConditions:
            - name: is-the-controller
              expression: request.userInfo.username == '\(controller)'
        """
    }

    private static let nodeClaim = "authentication.kubernetes.io/node-name"

    private static let node = """
            - name: node
              expression: >-
                has(request.userInfo.extra) && '\(nodeClaim)' in request.userInfo.extra
                ? request.userInfo.extra['\(nodeClaim)'][0] : ''
        """

    private static let hasNode = """
            - expression: variables.node != ''
              reason: Forbidden
              message: >-
                the token does not say which node it was issued for: the API server must be of Kubernetes 1.30 or later, and
                the token that of a running pod
        """

    /// Variables for a map of the metadata, which may be absent, and for its state before; there is none before a creation.
    private static func map(_ name: String, _ old: String) -> String {
        """
            - name: \(name)
              expression: "has(object.metadata.\(name)) ? object.metadata.\(name) : {}"
            - name: \(old)
              expression: >-
                oldObject == null ? {} : has(oldObject.metadata.\(name)) ? oldObject.metadata.\(name) : {}
        """
    }

    /// An expression: no element of a map is added or changed, but for some, and none removed, but for some.
    private static func areKept(
        _ name: String, _ old: String, but changed: String, butRemoved removed: String, where concerned: String = "true"
    ) -> String {
        func conditions(_ exception: String) -> String {
            (concerned == "true" ? "" : "!\(concerned) || ") + (exception == "false" ? "" : "\(exception) || ")
        }
        return """
            variables.\(name).all(k, \(conditions(changed))(k in variables.\(old)
                    && variables.\(name)[k] == variables.\(old)[k]))
                    && variables.\(old).all(k, \(conditions(removed))k in variables.\(name))
            """
    }

    /// An expression: the controller on this node has written an Event.
    private static func isOwn(_ event: String) -> String {
        """
        has(\(event).source.host) && \(event).source.component == '\(name)'
                && \(event).source.host == variables.node && \(event).involvedObject.kind == 'Pod'
        """
    }
}
