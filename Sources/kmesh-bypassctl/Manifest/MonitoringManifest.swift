/// What Prometheus needs: the controller serves its metrics, and the daemon's, on its pod's network; these say where they are,
/// who may ask for them, and when to raise an alert.
struct MonitoringManifest {
    let form: ManifestForm

    private static let name = ControllerManifest.name

    var objects: [String] { [networkPolicy, podMonitor] + [rules].compactMap(\.self) }

    private func metadata(labels: String = "") -> String {
        """
        metadata:
          name: \(Self.name)
          namespace: "\(form.namespace)"
          labels:
            app.kubernetes.io/name: \(Self.name)\(labels)
        """
    }

    /// The metrics are numbers of bypasses, calls and errors, without names of pods and users. So no token is asked for: who
    /// may connect is what the network decides.
    private var networkPolicy: String {
        """
        # Only Prometheus connects to the controllers, which have no other clients. (Where the cluster's network does not
        # enforce such policies, every pod may read the metrics: they are numbers, without names of pods or users.)
        apiVersion: networking.k8s.io/v1
        kind: NetworkPolicy
        \(metadata())
        spec:
          podSelector:
            matchLabels:
              app.kubernetes.io/name: \(Self.name)
          policyTypes: [Ingress]
          ingress:
            - from:
                - namespaceSelector:
                    matchLabels:
        \(form.prometheusNamespace)
              ports:
                - port: metrics

        """
    }

    private var podMonitor: String {
        """
        apiVersion: monitoring.coreos.com/v1
        kind: PodMonitor
        \(metadata(labels: form.monitoringLabels))
        spec:
          selector:
            matchLabels:
              app.kubernetes.io/name: \(Self.name)
          podMetricsEndpoints:
            - port: metrics
              # What the alerts call an instance is a node.
              relabelings:
                - sourceLabels: [__meta_kubernetes_pod_node_name]
                  targetLabel: instance

        """
    }

    private var rules: String? {
        guard let alerts = form.alerts else { return nil }
        return """
            # From systemd/monitoring/alerts.yaml.
            apiVersion: monitoring.coreos.com/v1
            kind: PrometheusRule
            \(metadata(labels: form.monitoringLabels))
            spec:
            \(alerts)

            """
    }
}
