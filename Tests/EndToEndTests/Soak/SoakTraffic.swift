import MeshSandbox
import Synchronization

/// Connections of a pod that is bypassed all the time, one after the other: the app has to answer each.
final class SoakTraffic: Sendable {
    private let isOver = Atomic(false)
    private let pod: MeshSandbox

    init(_ pod: MeshSandbox) {
        self.pod = pod
    }

    func end() { isOver.store(true, ordering: .relaxed) }

    /// - Returns: how many there were, and which the app did not answer.
    func run() async throws -> (connections: Int, wrong: [String]) {
        var (connections, wrong) = (0, [String]())
        while !isOver.load(ordering: .relaxed) {
            for direction in MeshSandbox.Direction.allCases {
                for family in MeshSandbox.Family.allCases {
                    let answer = try await pod.whoAnswers(direction, family)
                    connections += 1
                    if answer != .app { wrong.append("\(direction) \(family): \(answer)") }
                    try await Task.sleep(for: .milliseconds(10))
                }
            }
        }
        return (connections, wrong)
    }
}
