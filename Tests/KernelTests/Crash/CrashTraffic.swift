import MeshSandbox
import Synchronization
import TestSupport

/// Connections through all namespaces for as long as something goes on, some at a time: each has to be answered in a way
/// that is allowed.
final class CrashTraffic: Sendable {
    struct Complaint: Hashable, Sendable, CustomStringConvertible {
        let pod: Int
        let description: String
    }

    private final class Shared: Sendable {
        let isOver = Atomic(false)
        let count = Atomic(0)
    }

    private let task: Task<[Complaint], Never>
    private let shared = Shared()

    /// - Parameter allowed: how connections may go, for each pod.
    init(_ pods: [MeshSandbox], allowed: [Set<CrashBehaviour>]) {
        let ways = MeshSandbox.Direction.allCases.flatMap { direction in
            MeshSandbox.Family.allCases.map { (direction, $0) }
        }
        task = Task { [shared] in
            var complaints: [Complaint] = []
            var turn = 0
            while !shared.isOver.load(ordering: .relaxed) {
                let pod = turn % pods.count
                let (direction, family) = ways[turn / pods.count % ways.count]
                let answer = try? await pods[pod].whoAnswers(direction, family)
                shared.count.add(1, ordering: .relaxed)
                let expected = Set(allowed[pod].map { $0.answer(direction) })
                if answer.map(expected.contains) != true {
                    let got = answer.map { "\($0)" } ?? "nothing"
                    complaints.append(.init(pod: pod, description: "\(direction) \(family) was answered by \(got)"))
                }
                turn += 1
                try? await Task.sleep(for: .milliseconds(2))
            }
            return complaints
        }
    }

    /// Ends it.
    ///
    /// - Returns: how many connections there were, and what was wrong.
    func end() async -> (connections: Int, complaints: [Complaint]) {
        shared.isOver.store(true, ordering: .relaxed)
        let complaints = await task.value
        return (shared.count.load(ordering: .relaxed), complaints)
    }
}
