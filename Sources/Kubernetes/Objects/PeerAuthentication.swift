/// Istio's policy for mTLS (security.istio.io): the fields that are used here.
package struct PeerAuthentication: KubernetesObject, Hashable {
    package var metadata: ObjectMeta
    package var spec: Spec?

    package struct Spec: Decodable, Hashable, Sendable {
        package var selector: Selector?
        package var mtls: Mode?

        package init(matchLabels: [String: String]? = nil, mode: String?) {
            selector = matchLabels.map { Selector(matchLabels: $0) }
            mtls = mode.map { Mode(mode: $0) }
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
