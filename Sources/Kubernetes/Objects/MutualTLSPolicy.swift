/// The mTLS that Istio has a pod's sidecar accept, by the PeerAuthentications that apply to it, and what it means for a pod
/// whose sidecar is bypassed. Pure, so that every client of the API server says the same.
package struct MutualTLSPolicy: Hashable, Sendable {
    package enum Mode: String, Hashable, Sendable {
        case disable = "DISABLE"
        case permissive = "PERMISSIVE"
        case strict = "STRICT"

        /// nil if it is not set, or not a mode.
        init?(_ mode: PeerAuthentication.Mode?) {
            guard let mode = mode?.mode.flatMap(Mode.init(rawValue:)) else { return nil }
            self = mode
        }
    }

    /// On every port that has no mode of its own. Istio's default is PERMISSIVE.
    package private(set) var mode = Mode.permissive
    package private(set) var ports: [Int: Mode] = [:]
    /// The most specific policy that sets a mode, as `NAMESPACE/NAME`; nil if none does.
    package private(set) var source: String?

    /// As Istio merges them: the oldest policy of the mesh, of the namespace and of the workload; what one does not set comes
    /// from the one before.
    ///
    /// - Parameters:
    ///   - labels: the pod's.
    ///   - namespace: the policies in the pod's namespace.
    ///   - mesh: those in the mesh's root namespace.
    package init(
        for labels: [String: String], namespace: [PeerAuthentication], mesh: [PeerAuthentication]
    ) {
        let workload = Self.oldest(namespace) { policy in
            !policy.selector.isEmpty && policy.selector.allSatisfy { labels[$0.key] == $0.value }
        }
        for policy in [Self.oldest(mesh, \.selector.isEmpty), Self.oldest(namespace, \.selector.isEmpty), workload] {
            guard let policy, let mode = Mode(policy.spec?.mtls) else { continue }
            self.mode = mode
            source = policy.fullName
        }
        // Without a selector they have no effect.
        for (port, mode) in workload?.spec?.portLevelMtls ?? [:] {
            guard let port = Int(port), let mode = Mode(mode), mode != self.mode else { continue }
            ports[port] = mode
        }
        if !ports.isEmpty { source = workload?.fullName }
    }

    private static func oldest(
        _ policies: [PeerAuthentication], _ applies: (PeerAuthentication) -> Bool
    ) -> PeerAuthentication? {
        policies.filter(applies).min {
            ($0.metadata.creationTimestamp ?? "", $0.metadata.name)
                < ($1.metadata.creationTimestamp ?? "", $1.metadata.name)
        }
    }
}

extension MutualTLSPolicy {
    /// The warnings about a bypass for its user.
    package struct Warning: Hashable, Sendable {
        /// For programs: the reason of an Event.
        package var reason: String
        package var message: String
    }

    /// nil if the mode in force is DISABLE on all ports.
    ///
    /// - Parameters:
    ///   - inbound: whether the pod's inbound connections bypass its sidecar.
    ///   - outbound: likewise.
    package func warning(inbound: Bool = true, outbound: Bool = true) -> Warning? {
        let modes = Set([mode] + ports.values)
        guard modes != [.disable] else { return nil }
        var sentences = [rule]
        if inbound {
            if modes.contains(.strict) {
                sentences.append("A bypassed pod cannot read the mTLS that its clients must use.")
            }
            if modes.contains(.permissive) {
                sentences.append(
                    "Clients with a sidecar send mTLS by themselves, and a bypassed pod cannot read it; clients without one are "
                        + "served.")
            }
        }
        if outbound {
            sentences.append(
                "What a bypassed pod sends is plaintext, which peers that require mTLS (STRICT) refuse.")
        }
        return Warning(
            reason: modes.contains(.strict) ? "BypassStrictMTLS" : "BypassPermissiveMTLS",
            message: sentences.joined(separator: " "))
    }

    /// The warning for a user where the policies cannot be read.
    ///
    /// - Parameter error: why not; a clause.
    package static func unknown(_ error: String) -> Warning {
        Warning(
            reason: "BypassUnknownMTLS",
            message: "It is not known whether this pod's peers use mTLS, which a bypassed pod does not speak: \(error)."
        )
    }

    private var rule: String {
        let general =
            switch mode {
            case .strict: "\(name) requires mTLS (STRICT) of this pod's clients"
            case .permissive: "\(name) lets this pod's clients use mTLS (PERMISSIVE)"
            case .disable: "\(name) turns mTLS off (DISABLE) for this pod"
            }
        let exceptions = ports.sorted { $0.key < $1.key }.map { "\($0.value.rawValue) on port \($0.key)" }
        return general + (ports.isEmpty ? "" : ", but " + exceptions.joined(separator: ", ")) + "."
    }

    private var name: String { source.map { "PeerAuthentication \($0)" } ?? "Istio's default" }
}

extension PeerAuthentication {
    fileprivate var selector: [String: String] { spec?.selector?.matchLabels ?? [:] }

    fileprivate var fullName: String { "\(metadata.namespace)/\(metadata.name)" }
}
