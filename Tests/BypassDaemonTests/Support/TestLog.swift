import JSONRPC
import Linux
import Logging
import StrictJSON
import Testing

/// What was logged.
final class TestLog: Sendable {
    private let entries = Monitor<[String]>([])

    /// Each as its message and its metadata, in the order of the keys.
    var lines: [String] { entries.withLock(\.self) }

    var logger: Logger { Logger(label: "test") { _ in Handler(log: self) } }

    /// Waits until that many lines have been logged.
    func lines(_ count: Int) -> [String] {
        entries.wait(until: testDeadline()) { $0.count >= count ? $0 : nil } ?? lines
    }

    private struct Handler: LogHandler {
        let log: TestLog
        var logLevel = Logger.Level.trace
        var metadata: Logger.Metadata = [:]

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let fields = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }
            log.entries.update { $0.append(event.message.description + fields.joined()) }
        }
    }
}

/// The limit that an answer names, which answers no request if no id is given.
func limit(in line: String?, id: RequestID = .null) throws -> String? {
    let answer = try Response.read(Array((line ?? "").utf8)[...])
    guard case .failure(let error) = answer.outcome, error.code == -32007 else { return nil }
    #expect(answer.id == id)
    #expect(error.data?.object?["kind"] == "limit-exceeded")
    return error.data?.object?["limit"]?.string
}

/// By when a test expects what it waits for: much later than it happens on a slow machine.
func testDeadline() -> Instant { .now + .seconds(20) }
