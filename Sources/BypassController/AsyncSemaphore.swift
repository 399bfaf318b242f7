internal import Synchronization

/// Limits how many tasks do something at the same time; the others wait in order.
final class AsyncSemaphore: Sendable {
    private struct State {
        var permits: Int
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state: Mutex<State>

    init(permits: Int) {
        state = Mutex(State(permits: permits))
    }

    func withPermit<Result, Failure: Error>(
        orThrow cancelled: Failure, _ body: () async throws(Failure) -> Result
    ) async throws(Failure) -> Result {
        await withCheckedContinuation { continuation in
            let isIn = state.withLock { state in
                if state.permits == 0 {
                    state.waiters.append(continuation)
                    return false
                }
                state.permits -= 1
                return true
            }
            if isIn { continuation.resume() }
        }
        defer { release() }
        return try await body()
    }

    private func release() {
        let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
            if state.waiters.isEmpty {
                state.permits += 1
                return nil
            }
            return state.waiters.removeFirst()
        }
        next?.resume()
    }
}
