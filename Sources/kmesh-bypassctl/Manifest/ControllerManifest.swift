/// What a cluster needs in order to run the controller on every node: YAML, written by hand, since its comments are for
/// the people who review it. Every value that is put in stands in quotes: a namespace may be called `1e3` or `null`.
struct ControllerManifest {
    let form: ManifestForm

    /// Of the cluster's objects, whose names all namespaces share.
    static let name = "kmesh-bypass-controller"
    /// Of the namespace's.
    private static let shortName = "bypass-controller"

    /// Objects, in the order in which they can be made. The account comes first.
    var account: String {
        """
        apiVersion: v1
        kind: ServiceAccount
        metadata:
          name: \(Self.shortName)
          namespace: "\(form.namespace)"
          labels:
        \(labels)
        # The DaemonSet below asks for the token; no other pod gets it by naming the account.
        automountServiceAccountToken: false

        """
    }

    /// Before these there have to be the policies: no token shall have the role without them.
    var objects: [String] { [role, binding, daemonSet] }

    private var labels: String {
        """
            app.kubernetes.io/name: \(Self.name)
            app.kubernetes.io/version: "\(form.version)"
        """
    }

    private var role: String {
        """
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRole
        metadata:
          name: \(Self.name)
          labels:
        \(labels)
        rules:
          # Finds the node's labelled pods, and writes their status. RBAC cannot say "of this node", nor which fields: the
          # policy does, for patches. Reading is not limited: the token can list every pod of the cluster.
          - apiGroups: [""]
            resources: [pods]
            verbs: [list, watch, patch]
          # Reports changes in `kubectl describe pod`; a repeated Event increments its count.
          - apiGroups: [""]
            resources: [events]
            verbs: [create, patch]
          # Warns where peers use mTLS, which a bypassed pod does not speak. Without Istio it does nothing.
          - apiGroups: [security.istio.io]
            resources: [peerauthentications]
            verbs: [list]

        """
    }

    private var binding: String {
        """
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRoleBinding
        metadata:
          name: \(Self.name)
          labels:
        \(labels)
        roleRef:
          apiGroup: rbac.authorization.k8s.io
          kind: ClusterRole
          name: \(Self.name)
        subjects:
          - kind: ServiceAccount
            name: \(Self.shortName)
            namespace: "\(form.namespace)"

        """
    }

    private var daemonSet: String {
        """
        apiVersion: apps/v1
        kind: DaemonSet
        metadata:
          name: \(Self.shortName)
          namespace: "\(form.namespace)"
          labels:
        \(labels)
        spec:
          selector:
            matchLabels:
              app.kubernetes.io/name: \(Self.name)
          # Bypasses outlive their controller, so many nodes may be without one for a moment.
          updateStrategy:
            type: RollingUpdate
            rollingUpdate:
              maxUnavailable: 10%
          template:
        \(podMetadata)
        \(podSpec)

        """
    }

    /// The mesh that is in the way shall not be in the controller's way.
    private var podMetadata: String {
        """
            metadata:
              labels:
                app.kubernetes.io/name: \(Self.name)
                app.kubernetes.io/version: "\(form.version)"
                # No mesh for the controller itself: it must work while the mesh does not.
                sidecar.istio.io/inject: "false"
                istio.io/dataplane-mode: none
                kuma.io/sidecar-injection: disabled
              annotations:
                linkerd.io/inject: disabled
                # Where older releases look.
                sidecar.istio.io/inject: "false"
                kuma.io/sidecar-injection: disabled
        """
    }

    private var podSpec: String {
        let metrics = form.lines(
            if: .monitoring,
            """
                        - "--health-address=\(form.metricsHost):\(ManifestDefaults.metricsPort)"
                        - --daemon-metrics
            """)
        let port = form.lines(
            if: .monitoring,
            """
                      ports:
                        - name: metrics
                          containerPort: \(ManifestDefaults.metricsPort)
            """)
        return """
                spec:
                  serviceAccountName: \(Self.shortName)
                  automountServiceAccountToken: true
                  # Wanted most when a node is in trouble: on every node, tainted or full. (GKE asks for a ResourceQuota for
                  # this class in the namespace.)
                  priorityClassName: system-node-critical
                  tolerations:
                    - operator: Exists
                  nodeSelector:
            \(form.nodeSelector)
                  securityContext:
                    runAsNonRoot: true
                    runAsUser: 65532
                    runAsGroup: 65532
                    # The nodes' group kmesh, which may use the daemon's socket. `getent group kmesh` must show this number
                    # on every node: where it does not, the pod does not become ready, and `kubectl describe` says why.
                    supplementalGroups: [\(form.group)]
                    seccompProfile:
                      type: RuntimeDefault
                  containers:
                    - name: controller
                      image: "\(form.image)"
                      command:
                        - kmesh-bypass-controller
                        - --enable-bypass=true\(metrics)
                      env:
                        - name: NODE_NAME
                          valueFrom:
                            fieldRef:
                              fieldPath: spec.nodeName\(port)
                      securityContext:
                        allowPrivilegeEscalation: false
                        readOnlyRootFilesystem: true
                        capabilities:
                          drop: [ALL]
                      # Asked from inside: without monitoring the port for health is on the pod's loopback only.
                      livenessProbe:
                        exec:
                          command: [kmesh-bypass-controller, probe, healthz]
                        initialDelaySeconds: 5
                        periodSeconds: 20
                        timeoutSeconds: 10
                      readinessProbe:
                        exec:
                          command: [kmesh-bypass-controller, probe, readyz]
                        periodSeconds: 10
                        timeoutSeconds: 10
                      resources:
            \(form.resources(of: "controller", plain: ManifestDefaults.controllerResources))
                      terminationMessagePolicy: FallbackToLogsOnError
                      volumeMounts:
                        - name: socket
                          mountPath: /run/kmesh
                          readOnly: true
                  volumes:
                    # The folder: it shows a socket that is created again. Read-only is enough to connect.
                    - name: socket
                      hostPath:
                        path: /run/kmesh
                        # Where kmesh-bypassd is not installed the pod waits, and `kubectl describe` says for what.
                        type: Directory
            """
    }
}
