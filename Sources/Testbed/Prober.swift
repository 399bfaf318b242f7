internal import Linux
internal import NIOPosix
internal import Synchronization

extension Testbed {
    /// How often who answered.
    public struct Tally: Hashable, Sendable, CustomStringConvertible {
        public fileprivate(set) var counts: [Answer: Int] = [:]

        public var app: Int { counts[.app, default: 0] }
        public var sidecar: Int { counts[.sidecar, default: 0] }
        /// Connections that nobody took, for whatever reason.
        public var nobody: Int { total - app - sidecar }
        public var total: Int { counts.values.reduce(0, +) }

        public var description: String {
            counts.map { "\($0.value) \($0.key)" }.sorted().joined(separator: ", ")
        }
    }

    /// Opens one connection after the other, as fast as one thread can, and counts who answers.
    public final class Prober: Sendable {
        /// What the prober shares with its thread: it refers to no prober, so that one that is forgotten ends.
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
            task = Task {
                // A thread of its own: it is taken until the end.
                let pool = NIOThreadPool(numberOfThreads: 1)
                pool.start()
                do {
                    try await pool.runIfActive { loop.run(probe, from: try probe.open()) }
                } catch {
                    try? await pool.shutdownGracefully()
                    throw error
                }
                try await pool.shutdownGracefully()
            }
        }

        /// The count up to now.
        public var tally: Tally { loop.tally.withLock { $0 } }

        /// Ends after the connection that is being made, and gives the final count.
        public func stop() async throws -> Tally {
            loop.stopped.store(true, ordering: .relaxed)
            try await task.value
            return tally
        }

        deinit {
            loop.stopped.store(true, ordering: .relaxed)
        }
    }

    /// Starts a prober, to be stopped by the caller.
    public func startProber(_ direction: Direction, _ family: Family) throws -> Prober {
        Prober(try Probe(self, direction, family))
    }

    /// Probes in all directions and families given for as long as `body` runs.
    ///
    /// - Returns: what `body` returned, and who answered, over all probers.
    public func probing<Result>(
        _ directions: [Direction] = Direction.allCases, _ families: [Family] = Family.allCases,
        during body: () async throws -> Result
    ) async throws -> (Result, Tally) {
        var probers: [Prober] = []
        for direction in directions {
            for family in families { probers.append(try startProber(direction, family)) }
        }
        var tally = Tally()
        let result = try await scoped(body) {
            for prober in probers { tally.counts.merge(try await prober.stop().counts, uniquingKeysWith: +) }
        }
        return (result, tally)
    }
}
