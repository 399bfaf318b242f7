internal import Bypass
internal import BypassAPI
internal import Logging

/// A record in the journal's native protocol (systemd's "Native Journal Protocol"): fields with upper case names, each on a
/// line, or with its length in front if the value has line feeds. These have none.
struct JournalEntry {
    let bytes: [UInt8]

    /// Documented in proto-docs/policy.md: `journalctl MESSAGE_ID=...` finds what the daemon did, and what it refused to do.
    private static func messageID(_ outcome: AuditRecord.Outcome) -> String {
        switch outcome {
        case .changed: "6f0f3a1d5e6b4a7f9c2d8b41e7a05c93"
        case .denied: "b3c84e02a9d14d6c8f57d1e60c2a9b74"
        case .failed: "2e9d7c51f0b84e3ab6a4c93d185f7e60"
        }
    }

    init(_ record: AuditRecord) {
        let common = [
            ("MESSAGE", record.sentence), ("MESSAGE_ID", Self.messageID(record.outcome)),
            ("PRIORITY", "\(JournalLogHandler.priority(record.outcome.level))"), ("SYSLOG_IDENTIFIER", Product.name),
        ]
        let own = record.fields.map { ("KMESH_" + $0.name.uppercased(), $0.value) }
        bytes = (common + own).flatMap { name, value in
            Array("\(name)=\(value.printable(upTo: JournalLogHandler.maxField))\n".utf8)
        }
    }
}
