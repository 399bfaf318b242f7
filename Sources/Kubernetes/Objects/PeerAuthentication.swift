/// Istio's policy for mTLS (security.istio.io): the fields that are used here.
package struct PeerAuthentication: KubernetesObject, Hashable {
    package var metadata: ObjectMeta
    package var spec: Spec?

    package struct Spec: Decodable, Hashable, Sendable {
        package var selector: Selector?
        package var mtls: Mode?
        /// By the port of the container.
        package var portLevelMtls: [String: Mode]?

        package init(matchLabels: [String: String]? = nil, mode: String?, ports: [String: String?] = [:]) {
            selector = matchLabels.map { Selector(matchLabels: $0) }
            mtls = mode.map { Mode(mode: $0) }
            portLevelMtls = ports.mapValues { Mode(mode: $0) }
        }
    }

    package struct Selector: Decodable, Hashable, Sendable {
        package var matchLabels: [String: String]?
    }

    package struct Mode: Decodable, Hashable, Sendable {
        package var mode: String?
    }

    package init(metadata: ObjectMeta, spec: Spec?) {
        self.metadata = metadata
        self.spec = spec
    }
}
