import Logging
import Testing

@testable import BypassDaemon

/// What a client can have the daemon write into the journal is bounded.
@Suite struct AuditRecordTests {
    /// Shown as one character, as two, as eight, and as an escape.
    private static let characters = ["x", "\"", "\u{202E}", "\n"]

    /// As long as a line of a client's may be.
    private func longText(_ character: String) -> String {
        String(repeating: character, count: 65536 / character.utf8.count)
    }

    @Test(arguments: characters)
    func `A record takes 2048 characters for each field, and no field has a line of its own`(_ character: String) {
        let text = longText(character)
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

    @Test(arguments: characters)
    func `A line of the log is bounded in the same way`(_ character: String) {
        let text = longText(character)
        let line = JournalLogHandler.line("<4>", text, ["error": "\(text)", "netns": "\(text)"])
        #expect(line.utf8.count < 3 * (2048 + 32), "\(line.utf8.count) bytes")
        #expect(line.split(separator: "\n").count == 1 && line.hasSuffix("\n"))
    }

    @Test func `The journal gets priorities, and everything else times and levels`() {
        #expect(JournalLogHandler.prefix(.warning, forJournal: true) == "<4>")
        let prefix = JournalLogHandler.prefix(.warning, forJournal: false)
        #expect(prefix.hasPrefix("20") && prefix.hasSuffix("Z warning: ") && prefix.count == 30)
    }
}
