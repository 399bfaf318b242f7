internal import ArgumentParser
internal import Console

/// A pod, or an object that has pods, as an argument names it.
enum Target: Hashable, Sendable {
    case pod(String)
    case workload(Kind, String)

    enum Kind: String, CaseIterable, Sendable {
        case deployment, statefulset, daemonset, replicaset, job

        var shortNames: [String] {
            switch self {
            case .deployment: ["deploy"]
            case .statefulset: ["sts"]
            case .daemonset: ["ds"]
            case .replicaset: ["rs"]
            case .job: []
            }
        }

        var group: String { self == .job ? "batch" : "apps" }

        fileprivate var names: [String] { [rawValue, rawValue + "s", "\(rawValue)s.\(group)"] + shortNames }
    }
}

extension Target: ExpressibleByArgument {
    /// What stands before the slash, for a pod.
    private static let podNames = ["pod", "pods", "po"]

    init?(argument: String) {
        let parts = argument.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count <= 2, let name = parts.last, name.isObjectName else { return nil }
        let type = parts.count == 2 ? parts[0].lowercased() : "pod"
        if Self.podNames.contains(type) {
            self = .pod(name)
        } else if let kind = Kind.allCases.first(where: { $0.names.contains(type) }) {
            self = .workload(kind, name)
        } else {
            return nil
        }
    }
}
