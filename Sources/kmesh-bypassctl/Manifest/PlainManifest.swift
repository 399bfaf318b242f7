internal import BypassAPI

/// What `kubectl apply -f -` takes: YAML, written by hand, since its comments are for the people who review it. Every value
/// that is put in stands in quotes: a namespace may be called `1e3` or `null`.
struct PlainManifest {
    let options: ManifestOptions

    var text: String {
        let form = ManifestForm.plain(options)
        let controller = ControllerManifest(form: form)
        let policies = options.hasAdmissionPolicies ? AdmissionPolicies(namespace: form.namespace).ofController : []
        let daemon = options.hasDaemon ? DaemonManifest(form: form).objects : []
        let monitoring = options.hasMonitoring ? MonitoringManifest(form: form).objects : []
        return ([head + namespaceObject] + daemon + [controller.account] + policies + controller.objects + monitoring)
            .joined(separator: "---\n")
    }

    private var head: String {
        let policy = "validatingadmissionpolicy"
        var kinds = ["daemonset,serviceaccount,clusterrolebinding,clusterrole"]
        if options.hasAdmissionPolicies { kinds.append("\(policy),\(policy)binding") }
        if options.hasMonitoring {
            kinds.append("networkpolicy,podmonitor" + (options.alerts == nil ? "" : ",prometheusrule"))
        }
        let names =
            options.hasDaemon
            ? "'app.kubernetes.io/name in (\(ControllerManifest.name),\(DaemonManifest.name))'"
            : "app.kubernetes.io/name=\(ControllerManifest.name)"
        if options.hasDaemon { kinds.append("configmap") }
        return """
            # kmesh-bypass-controller \(Product.version): bypasses the sidecars of pods with kmesh.net/bypass=enabled.
            # Apply it:   kmesh-bypassctl manifest | kubectl apply -f -
            # Remove it, and leave the namespace and what else is in it alone:
            #   kubectl delete \(kinds.joined(separator: ",\\\n#     ")) \\
            #     --namespace \(options.namespace) --selector \(names)

            """
    }

    /// Has no label of the controller's, by which it would be deleted with it.
    private var namespaceObject: String {
        """
        apiVersion: v1
        kind: Namespace
        metadata:
          name: "\(options.namespace)"
          labels:
            # The socket is in a folder of the node's, which no stricter level lets a pod have.
            pod-security.kubernetes.io/enforce: privileged

        """
    }
}
