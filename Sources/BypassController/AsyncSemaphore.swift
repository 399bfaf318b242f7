internal import Synchronization

/// Limits how many tasks do something at the same time; the others wait in order.
final class AsyncSemaphore: Sendable {
    private struct State {
        var permits: Int
        /// First come, first served. A permit that is released while tasks wait is handed to the first of them.
        var waiters: [Waiter] = []
        var lastID: UInt64 = 0
    }

    private struct Waiter {
        var id: UInt64
        /// Resumed with whether the task has a permit now.
        var continuation: CheckedContinuation<Bool, Never>
    }

    private let state: Mutex<State>

    init(permits: Int) {
        state = Mutex(State(permits: permits))
    }

    /// Runs `body` once there is a permit for it.
    ///
    /// - Parameter cancelled: thrown when the task is cancelled before it has a permit.
    func withPermit<Result, Failure: Error>(
        orThrow cancelled: Failure, _ body: () async throws(Failure) -> Result
    ) async throws(Failure) -> Result {
        guard await acquire() else { throw cancelled }
        defer { release() }
        return try await body()
    }

    /// - Returns: false if the task was cancelled.
    private func acquire() async -> Bool {
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let result = state.withLock { state -> Bool? in
                    // Under the lock: a cancellation that comes later finds the waiter.
                    if Task.isCancelled { return false }
                    guard state.permits == 0 else {
                        state.permits -= 1
                        return true
                    }
                    state.waiters.append(Waiter(id: id, continuation: continuation))
                    return nil
                }
                if let result { continuation.resume(returning: result) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.waiters.firstIndex { $0.id == id }.map { state.waiters.remove(at: $0) }
            }
            waiter?.continuation.resume(returning: false)
        }
    }

    private func release() {
        let next = state.withLock { state -> Waiter? in
            guard !state.waiters.isEmpty else {
                state.permits += 1
                return nil
            }
            return state.waiters.removeFirst()
        }
        next?.continuation.resume(returning: true)
    }
}
