/// Something that was to become true, and did not in time.
public struct NeverHappened: Error, CustomStringConvertible {
    public let description: String

    public init(description: String) {
        self.description = description
    }
}

/// Asks until the answer is as wanted; the time is a bound, not a wait.
///
/// - Parameters:
///   - what: for people, if it does not come true.
///   - limit: how long to ask.
public func eventually(
    _ what: @autoclosure () -> String, within limit: Duration = .seconds(10), _ isTrue: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !isTrue() {
        guard ContinuousClock.now < deadline else {
            throw NeverHappened(description: "not within \(limit): \(what())")
        }
        try await Task.sleep(for: .milliseconds(5))
    }
}
