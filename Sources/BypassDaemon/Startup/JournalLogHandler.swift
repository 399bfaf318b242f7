internal import Bypass
internal import BypassAPI
internal import Glibc
internal import Linux
package import Logging

/// Log lines on standard error: one a record, with what is known as key=value. In front is the priority, for the journal
/// (sd-daemon(3)), or else the time and the level.
package struct JournalLogHandler: LogHandler {
    package var logLevel = Logger.Level.info
    package var metadata: Logger.Metadata = [:]

    /// Characters of a field: a client can make a name as long as a line may be.
    static let maxField = 2048

    package init() {}

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        let fields = metadata.merging(event.metadata ?? [:]) { $1 }
        var line = Self.line(Self.prefix(event.level), event.message.description, fields)
        // One write a line: lines of different threads do not mix.
        _ = line.withUTF8 { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    /// The journal has the times, and takes the priority from the line; in a terminal or a file there is neither.
    static func prefix(_ level: Logger.Level, forJournal: Bool = isJournal) -> String {
        forJournal ? "<\(priority(level))>" : "\(Timestamp.now) \(level): "
    }

    static let isJournal = Systemd.journal != nil

    static func line(_ prefix: String, _ message: String, _ fields: Logger.Metadata) -> String {
        var line = prefix + message.printable(upTo: maxField)
        for (key, value) in fields.sorted(by: { $0.key < $1.key }) {
            line += " \(key)=\(quoted("\(value)"))"
        }
        return line + "\n"
    }

    /// syslog(3)'s priorities.
    static func priority(_ level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }

    private static func quoted(_ text: String) -> String {
        let isPlain = !text.isEmpty && text.unicodeScalars.allSatisfy { $0 != " " && $0 != "\"" && $0 != "=" }
        return isPlain ? text.printable(upTo: maxField) : text.quoted(upTo: maxField)
    }
}
