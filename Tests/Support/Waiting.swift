internal import Synchronization

/// A condition that did not become true in time.
package struct UnmetExpectation: Error, CustomStringConvertible {
    package let description: String

    package init(description: String) {
        self.description = description
    }
}

/// Checks until the condition is true; the time is a bound, not a wait.
///
/// - Parameters:
///   - what: for people, if it does not come true.
///   - limit: how long to check.
package func eventually(
    _ what: @autoclosure () -> String, within limit: Duration = .seconds(10), _ isTrue: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !isTrue() {
        guard ContinuousClock.now < deadline else {
            throw UnmetExpectation(description: "not within \(limit): \(what())")
        }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// A mutual exclusion for tasks: one runs at a time, in the order in which they asked.
///
/// A suite can be serialized, test targets cannot: they run side by side in one process, whose descriptors are counted.
final class AsyncLock: Sendable {
    private struct State {
        var isLocked = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    func run<Result>(_ body: () async throws -> Result) async throws -> Result {
        await lock()
        defer { unlock() }
        return try await body()
    }

    private func lock() async {
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                if state.isLocked { state.waiting.append(continuation) }
                defer { state.isLocked = true }
                return !state.isLocked
            }
            if isFree { continuation.resume() }
        }
    }

    private func unlock() {
        let next: CheckedContinuation<Void, Never>? = state.withLock { state in
            guard !state.waiting.isEmpty else {
                state.isLocked = false
                return nil
            }
            return state.waiting.removeFirst()
        }
        next?.resume()
    }
}
