/// Runs `body`, and then `cleanUp` whatever came of it, for the testbed and the tests that make more. What the body throws matters more than what cleaning up throws.
public func scoped<Result>(
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
