internal import UnixSignals

/// The process received SIGINT (Ctrl-C) or SIGTERM.
package struct Interruption: Error {
    /// Runs `body`; a signal cancels it, and is thrown once it has cleaned up after itself.
    package static func cancelling(_ body: @escaping @Sendable () async throws -> Void) async throws {
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                for await _ in signals { return true }
                return false
            }
            group.addTask {
                try await body()
                return false
            }
            let wasInterrupted = try await group.next() ?? false
            group.cancelAll()
            if wasInterrupted {
                // What the body throws now is only that it was cancelled.
                _ = try? await group.next()
                throw Interruption()
            }
        }
    }
}
