internal import Linux
package import MeshSandbox
internal import Synchronization

extension MeshSandbox {
    /// How often who answered.
    package struct Tally: Hashable, Sendable, CustomStringConvertible {
        package fileprivate(set) var counts: [Answer: Int] = [:]

        package var app: Int { counts[.app, default: 0] }
        package var sidecar: Int { counts[.sidecar, default: 0] }
        /// Connections without an answer, whatever the reason.
        package var unanswered: Int { total - app - sidecar }
        package var total: Int { counts.values.reduce(0, +) }

        package var description: String {
            counts.map { "\($0.value) \($0.key)" }.sorted().joined(separator: ", ")
        }
    }

    /// Opens one connection after the other, as fast as one thread can, and counts who answers.
    package final class ContinuousProbe: Sendable {
        /// What the probe shares with its thread, which does not refer to the probe: so one that is not stopped ends, too.
        private final class Loop: Sendable {
            let tally = Mutex(Tally())
            let stopped = Atomic(false)

            /// One connection at least, even if `stop` comes at once.
            func run(_ probe: Probe, from namespace: borrowing NetworkNamespace) {
                repeat {
                    let answer = probe.ask(from: namespace)
                    tally.withLock { $0.counts[answer, default: 0] += 1 }
                } while !stopped.load(ordering: .relaxed)
            }
        }

        private let loop: Loop
        private let task: Task<Void, any Error>

        fileprivate init(_ probe: Probe) {
            let loop = Loop()
            self.loop = loop
            task = Task { try await Threads.run { loop.run(probe, from: try probe.open()) } }
        }

        /// The count up to now.
        package var tally: Tally { loop.tally.withLock { $0 } }

        /// Ends after the connection that is being made, and gives the final count.
        package func stop() async throws -> Tally {
            loop.stopped.store(true, ordering: .relaxed)
            try await task.value
            return tally
        }

        deinit {
            loop.stopped.store(true, ordering: .relaxed)
        }
    }

    /// Starts a probe, which the caller stops.
    package func startProbe(_ direction: Direction, _ family: Family) throws -> ContinuousProbe {
        start(try Probe(self, direction, family))
    }

    package func start(_ probe: Probe) -> ContinuousProbe { ContinuousProbe(probe) }
}
