package import BypassAPI

/// The content of a pod's status annotation: a ``BypassCondition`` as a client of the API server reads it.
package struct ReportedStatus: Hashable, Sendable {
    package enum State: String, Hashable, Sendable, CaseIterable {
        case on
        case notEffective = "not-effective"
        case partlyEffective = "partly-effective"
        case contested
        case nothingToBypass = "nothing-to-bypass"
        /// On as before: what the pod asks for now cannot be done.
        case unchanged
        case waiting
        case refused
        case failed
        case expired
        /// Off, but another program's rules bypass the sidecar.
        case offNotEffective = "off-not-effective"
        /// Written by a version that this one does not know, or by another program.
        case unknown
    }

    package let state: State
    /// When the bypass expires; one that was lost, if it has not been turned on again.
    package let until: Timestamp?

    package init(_ annotation: String) {
        until = BypassCondition.expiry(in: annotation)
        let rest = annotation.withoutPrefix("on until \(until?.description ?? "")") ?? annotation.withoutPrefix("on")
        state =
            if let rest { Self.states(ofOn: rest) } else {
                Self.others.first { annotation.hasPrefix($0.prefix) }?.state ?? .unknown
            }
    }

    private static let others: [(prefix: String, state: State)] = [
        ("waiting: ", .waiting), ("refused: ", .refused), ("failed: ", .failed), ("expired ", .expired),
        ("off, not effective: ", .offNotEffective),
    ]

    private static func states(ofOn rest: String) -> State {
        switch rest {
        case "": .on
        case ", contested": .contested
        case ", nothing to bypass": .nothingToBypass
        default:
            if rest.hasPrefix(", not effective for some connections: ") {
                .partlyEffective
            } else if rest.hasPrefix(", not effective: ") {
                .notEffective
            } else {
                rest.hasPrefix(", unchanged: ") ? .unchanged : .unknown
            }
        }
    }

    /// Whether new connections bypass the sidecar as the pod asks for; nil if the status does not say.
    package var isEffective: Bool? {
        switch state {
        case .on, .contested, .nothingToBypass: true
        case .notEffective, .partlyEffective, .waiting, .refused, .failed: false
        case .unchanged, .expired, .offNotEffective, .unknown: nil
        }
    }
}

extension String {
    fileprivate func withoutPrefix(_ prefix: String) -> String? {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
    }
}
