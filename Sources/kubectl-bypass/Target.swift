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

extension Target {
    /// The kind before the slash, for a pod.
    private static let podNames = ["pod", "pods", "po"]

    /// Why a text does not name pods, and how it would.
    struct Malformed: Error, CustomStringConvertible {
        let description: String
    }

    init(_ text: String) throws(Malformed) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count <= 2, let name = parts.last, name.isObjectName else {
            throw Malformed(description: "it must be a pod's name, or KIND/NAME")
        }
        let type = parts.count == 2 ? parts[0].lowercased() : "pod"
        if Self.podNames.contains(type) {
            self = .pod(name)
        } else if let kind = Kind.allCases.first(where: { $0.names.contains(type) }) {
            self = .workload(kind, name)
        } else {
            throw Malformed(
                description: "before '/' goes pod, deploy, sts, ds, rs or job; a namespace goes after -n")
        }
    }
}
