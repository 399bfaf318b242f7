internal import Glibc
internal import Linux
internal import SystemPackage

/// Threads that may enter a namespace and wait for a peer, which the cooperative pool may not.
package enum Threads {
    /// Runs `body` on a thread of its own.
    package static func run<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            do {
                try start { continuation.resume(with: Swift.Result { try body() }) }
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }

    private final class Work: Sendable {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) {
            self.body = body
        }
    }

    private static func start(_ body: @escaping @Sendable () -> Void) throws(SystemCallError) {
        let work = unsafe Unmanaged.passRetained(Work(body))
        var thread = pthread_t()
        let error = unsafe pthread_create(
            &thread, nil,
            { work in
                unsafe Unmanaged<Work>.fromOpaque(work!).takeRetainedValue().body()
                return nil
            }, work.toOpaque())
        guard error == 0 else {
            unsafe work.release()
            throw SystemCallError("pthread_create", Errno(rawValue: error))
        }
        pthread_detach(thread)
    }
}

/// Runs `body`, and then `cleanUp` whatever came of it, for the sandbox and the tests that make more. What the body throws matters more than what cleaning up throws.
package func scoped<Result>(
    _ body: () async throws -> Result, cleanUp: () async throws -> Void
) async throws -> Result {
    let result: Result
    do {
        result = try await body()
    } catch {
        try? await cleanUp()
        throw error
    }
    try await cleanUp()
    return result
}

/// Runs what has to be done also for a caller that is cancelled: commands end with the task that waits for them.
func shielded(_ body: @escaping @Sendable () async throws -> Void) async throws {
    try await Task { try await body() }.value
}
