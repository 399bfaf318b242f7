/// Work for threads of its own, in the order in which it falls due: nobody waits for it.
package final class WorkQueue: Sendable {
    package typealias Work = @Sendable () -> Void

    private struct Entry {
        var due: Instant
        var work: Work
    }

    private struct State {
        /// By due time; of equal ones the earlier comes first.
        var entries: [Entry] = []
        var isStopping = false
    }

    private let state = Monitor(State())
    private let threads: [Thread]

    /// - Parameters:
    ///   - name: of the threads.
    ///   - count: how many threads; with one, work is done one after the other.
    package init(_ name: String, threads count: Int = 1) throws(SystemCallError) {
        var threads: [Thread] = []
        for _ in 0..<count {
            threads.append(try Thread.start(name) { [state] in Self.run(state) })
        }
        self.threads = threads
    }

    /// Hands in work that is due now, or later.
    package func add(at due: Instant? = nil, _ work: @escaping Work) {
        state.update { state in
            let entry = Entry(due: due ?? Instant(nanoseconds: 0), work: work)
            let place = state.entries.lastIndex { $0.due <= entry.due }.map { $0 + 1 } ?? 0
            state.entries.insert(entry, at: place)
        }
    }

    /// Ends the threads. What is due is done before, unless it is discarded; what is not due yet never is.
    package func stop(discardingPending: Bool = false) {
        state.update { state in
            state.isStopping = true
            if discardingPending { state.entries = [] }
        }
        for thread in threads { thread.join() }
    }

    private static func run(_ state: Monitor<State>) {
        while true {
            enum Step {
                case work(Work)
                case end
            }
            let step = state.waitWithMovingDeadline { state, next -> Step? in
                next = state.entries.first?.due
                guard let first = state.entries.first, first.due <= .now else { return state.isStopping ? .end : nil }
                return .work(state.entries.removeFirst().work)
            }
            switch step {
            case .work(let work): work()
            case .end: return
            // The next entry has fallen due.
            case nil: continue
            }
        }
    }
}
