/// Istio's policy for mTLS (security.istio.io): the fields that are used here.
public struct PeerAuthentication: KubernetesObject, Hashable {
    public var metadata: ObjectMeta
    public var spec: Spec?

    public struct Spec: Decodable, Hashable, Sendable {
        public var selector: Selector?
        public var mtls: Mode?

        public init(matchLabels: [String: String]? = nil, mode: String?) {
            selector = matchLabels.map { Selector(matchLabels: $0) }
            mtls = mode.map { Mode(mode: $0) }
        }
    }

    public struct Selector: Decodable, Hashable, Sendable {
        public var matchLabels: [String: String]?
    }

    public struct Mode: Decodable, Hashable, Sendable {
        public var mode: String?
    }

    public init(metadata: ObjectMeta, spec: Spec?) {
        self.metadata = metadata
        self.spec = spec
    }
}
