import Logging
import Testing

@testable import BypassDaemon

/// What a client can have the daemon write into the journal is bounded.
@Suite struct AuditRecordTests {
    /// Texts as long as a line, of which a character is shown as one, as two, and as eight.
    private static let texts = ["x", "\"", "\u{202E}", "\n"].map { String(repeating: $0, count: 65536 / $0.utf8.count) }

    @Test(arguments: texts)
    func `A record takes 2048 characters for each field, and no field has a line of its own`(text: String) {
        var record = AuditRecord(method: "bypass on", netns: text, inode: .max, owner: text, reason: text)
        record.outcome = .failed
        record.error = text
        record.warnings = Array(repeating: text, count: 8)
        let entry = String(decoding: JournalEntry(record).bytes, as: UTF8.self)
        let fields = entry.split(separator: "\n")
        #expect(Set(fields.compactMap { $0.split(separator: "=").first }).count == fields.count)
        for field in fields {
            let value = field.drop { $0 != "=" }.dropFirst()
            #expect(value.count <= 2048 + 1, "\(field.prefix(20)): \(value.count) characters")
        }
        // Of these texts one character is one byte, or an escape; the mark that a value was cut is three.
        #expect(entry.utf8.count < 16 << 10, "\(entry.utf8.count) bytes")
    }

    @Test(arguments: texts)
    func `A line of the log is bounded in the same way`(text: String) {
        let line = JournalLogHandler.line(.warning, text, ["error": "\(text)", "netns": "\(text)"])
        #expect(line.utf8.count < 3 * (2048 + 32), "\(line.utf8.count) bytes")
        #expect(line.split(separator: "\n").count == 1 && line.hasSuffix("\n"))
    }
}
