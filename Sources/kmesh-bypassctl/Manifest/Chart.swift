internal import BypassAPI

/// The Helm chart in systemd/chart: the manifest's own text, with Helm's expressions where values are put in. A test writes it
/// there (`KMESH_UPDATE_DOCS=1`), and compares it.
struct Chart {
    /// By their paths in the chart's folder.
    static var files: [String: String] {
        let form = ManifestForm.chart
        let controller = ControllerManifest(form: form)
        return [
            "Chart.yaml": description,
            "values.yaml": values,
            "values.schema.json": valuesSchema,
            "templates/controller.yaml": join(
                [controller.account] + policies(form) + controller.objects.map { "---\n" + $0 }),
            "templates/daemon.yaml": join(DaemonManifest(form: form).objects.map { "---\n" + $0 }, if: .daemon, form),
            "templates/monitoring.yaml": join(
                MonitoringManifest(form: form).objects.map { "---\n" + $0 }, if: .monitoring, form),
        ].mapValues { $0.hasPrefix("# ") || !$0.contains("{{") ? $0 : comment + $0 }
    }

    private static let comment = "{{- /* Written by a test from Sources/kmesh-bypassctl/Manifest. */ -}}\n"

    private static func join(_ objects: [String]) -> String { objects.joined() }

    private static func join(_ objects: [String], if part: ManifestForm.Part, _ form: ManifestForm) -> String {
        String(form.lines(if: part, String(objects.joined().dropLast())).dropFirst()) + "\n"
    }

    private static func policies(_ form: ManifestForm) -> [String] {
        [
            join(
                AdmissionPolicies(namespace: form.namespace).ofController.map { "---\n" + $0 }, if: .admissionPolicies,
                form)
        ]
    }

    private static var description: String {
        """
        # Written by a test from Sources/kmesh-bypassctl/Manifest.
        apiVersion: v2
        name: kmesh-bypass
        description: Bypasses the sidecars of pods with the label kmesh.net/bypass=enabled.
        type: application
        version: \(Product.release)
        appVersion: "\(Product.release)"
        kubeVersion: ">=1.27.0-0"

        """
    }

    private static var values: String {
        """
        # Written by a test from Sources/kmesh-bypassctl/Manifest.

        # The number of the nodes' group kmesh (getent group kmesh). With daemon.enabled: any number, of which the daemon makes
        # its socket.
        gid: \(GroupNumber.usual)
        # Labels of the nodes that it is for. Where not all nodes have the daemon, label those that have it: on others the
        # controller's pod would wait forever.
        nodeSelector:
          \(ManifestDefaults.nodeSelector)
        # Limit the controller's token to what it writes, on its own node. Needs Kubernetes 1.30.
        admissionPolicies: true

        controller:
          image: kmesh-bypass-controller:\(Product.release)
          resources:
        \(ManifestDefaults.controllerResources.indented(by: 4))

        # The daemon in a pod, for nodes where it cannot be installed.
        daemon:
          enabled: false
          image: kmesh-bypassd:\(Product.release)
          # The text of /etc/kmesh/bypassd.toml (proto-docs/policy.md). Empty: root may do everything, and the group kmesh may
          # read and bypass.
          policy: ""
          resources:
        \(ManifestDefaults.daemonResources.indented(by: 4))

        # Serve metrics on the pods' network, and have Prometheus' operator collect them and raise alerts.
        monitoring:
          enabled: false
          # The address that the controllers listen on. Where pods have IPv6 addresses only: "[::]".
          host: \(ManifestDefaults.metricsHost)
          # Of the namespace that Prometheus runs in: only pods there may connect.
          namespaceSelector:
            \(ManifestDefaults.prometheusNamespace)
          # By which the operator selects PodMonitors and PrometheusRules, such as release: kube-prometheus-stack.
          labels: {}

        """
    }
}
