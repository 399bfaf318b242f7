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
