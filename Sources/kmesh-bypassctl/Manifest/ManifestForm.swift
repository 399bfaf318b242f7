internal import BypassAPI

/// What stands in a manifest where its users decide: their values or, in the Helm chart's templates, the expressions that Helm
/// replaces by them. Chart and plain manifest are one text.
enum ManifestForm {
    case plain(ManifestOptions)
    case chart

    /// A part that is there only if its users want it.
    enum Part: String {
        case admissionPolicies, daemon, monitoring

        fileprivate var condition: String {
            switch self {
            case .admissionPolicies: ".Values.admissionPolicies"
            case .daemon: ".Values.daemon.enabled"
            case .monitoring: ".Values.monitoring.enabled"
            }
        }
    }

    private func value(_ plain: (ManifestOptions) -> String, _ path: String) -> String {
        switch self {
        case .plain(let options): plain(options)
        case .chart: "{{ \(path) }}"
        }
    }

    var version: String { value({ _ in Product.version }, ".Chart.AppVersion") }
    var image: String { value({ "\($0.image)" }, ".Values.controller.image") }
    var daemonImage: String { value({ "\($0.daemonImage)" }, ".Values.daemon.image") }
    var namespace: String { value({ "\($0.namespace)" }, ".Release.Namespace") }
    /// Numbers of a chart's values are floating: of seven digits and more they would be printed as such.
    var group: String { value({ "\($0.group)" }, ".Values.gid | int64") }
    /// The controller's address if Prometheus is to reach it.
    var metricsHost: String { value({ _ in ManifestDefaults.metricsHost }, ".Values.monitoring.host") }
    var nodeSelector: String { map(".Values.nodeSelector", indent: 8) { $0.nodeSelectorText } }
    /// The clients that may connect to the controller's metrics.
    var prometheusNamespace: String {
        map(".Values.monitoring.namespaceSelector", indent: 14) { _ in ManifestDefaults.prometheusNamespace }
    }

    func resources(of part: String, plain: String) -> String {
        map(".Values.\(part).resources", indent: 12) { _ in plain }
    }

    /// Labels by which a Prometheus operator selects what is for it.
    var monitoringLabels: String {
        switch self {
        case .plain: ""
        case .chart: "\n    {{- with .Values.monitoring.labels }}\n    {{- toYaml . | nindent 4 }}\n    {{- end }}"
        }
    }

    /// The groups of systemd/monitoring/alerts.yaml, as they are there.
    var alerts: String? {
        switch self {
        case .plain(let options): options.alerts?.indented(by: 2)
        case .chart: #"{{ .Files.Get "alerts.yaml" | trim | indent 2 }}"#
        }
    }

    /// A list or a map as the users wrote it, on lines of its own.
    private func map(_ path: String, indent: Int, plain: (ManifestOptions) -> String) -> String {
        switch self {
        case .plain(let options): plain(options).indented(by: indent)
        case .chart: String(repeating: " ", count: indent) + "{{- toYaml \(path) | nindent \(indent) }}"
        }
    }

    /// Lines, or nothing. They begin with the line feed that ends the line before them.
    func lines(if part: Part, _ text: String) -> String {
        switch self {
        case .plain(let options): options.has(part) ? "\n" + text : ""
        case .chart: "\n{{- if \(part.condition) }}\n\(text)\n{{- end }}"
        }
    }

    /// Text for clusters from Kubernetes 1.30 on, or for older ones. Those have no admission policies: the plain manifest
    /// without them is for older clusters.
    func lines(from130 isNew: Bool, _ text: String) -> String {
        switch self {
        case .plain(let options): options.hasAdmissionPolicies == isNew ? "\n" + text : ""
        case .chart:
            "\n{{- if semverCompare \"\(isNew ? ">=" : "<")1.30-0\" .Capabilities.KubeVersion.Version }}\n\(text)\n{{- end }}"
        }
    }

    /// Text that only the chart has: of what the plain manifest's users edit by hand.
    func lines(ifValue path: String, _ text: String) -> String {
        switch self {
        case .plain: ""
        case .chart: "\n{{- if \(path) }}\n\(text)\n{{- end }}"
        }
    }
}

/// The content of the command line.
struct ManifestOptions {
    var image = ImageReference.usual
    var daemonImage = ImageReference.usualOfDaemon
    var group = GroupNumber.usual
    var namespace = NamespaceName.usual
    /// Whether policies limit the controller's token.
    var hasAdmissionPolicies = true
    var hasDaemon = false
    var hasMonitoring = false
    /// Labels of the nodes that it is for, besides that of the system.
    var nodeSelector: [NodeLabel] = []
    /// Rules for Prometheus.
    var alerts: String?

    fileprivate func has(_ part: ManifestForm.Part) -> Bool {
        switch part {
        case .admissionPolicies: hasAdmissionPolicies
        case .daemon: hasDaemon
        case .monitoring: hasMonitoring
        }
    }

    fileprivate var nodeSelectorText: String {
        ([ManifestDefaults.nodeSelector] + nodeSelector.map { "\($0.key): \"\($0.value)\"" }).joined(separator: "\n")
    }
}

/// What the plain manifest has in places that are values of the chart, and the chart's values without others.
enum ManifestDefaults {
    static let nodeSelector = "kubernetes.io/os: linux"
    /// Every address of the pod's own network, which is IPv4 in most clusters.
    static let metricsHost = "0.0.0.0"
    /// The controller's usual one, which its probes ask.
    static let metricsPort = 9466
    static let prometheusNamespace = "kubernetes.io/metadata.name: monitoring"

    /// No limit of processor time: it would only make them late.
    static func resources(memory: String) -> String {
        """
        requests:
          cpu: 10m
          memory: 32Mi
        limits:
          memory: \(memory)
        """
    }
    static let controllerResources = resources(memory: "128Mi")
    /// The unit's bound.
    static let daemonResources = resources(memory: "256Mi")
}

extension String {
    /// Every line that is not empty, that much further in.
    func indented(by count: Int) -> String {
        split(separator: "\n", omittingEmptySubsequences: false)
            .map { $0.isEmpty ? "" : String(repeating: " ", count: count) + $0 }
            .joined(separator: "\n")
    }
}
