internal import Bypass
internal import CoreMetrics
internal import Linux
internal import Logging
internal import Synchronization

/// The destination of audit records: to the journal in its own protocol, field by field, or as a line of text to where the log goes.
///
/// Each change has its own record. Denials and failed calls, which any client can cause at any rate, are limited to one
/// record a second for each account and result, with a count. Root is exempt.
final class Audit: Sendable {
    private struct Kind: Hashable {
        var account: UInt32
        var outcome: AuditRecord.Outcome
    }

    private let metrics: DaemonMetrics
    private let names: LocalAccountNames
    private let writer: AuditWriter
    private let limiter: BurstLimiter<Kind, AuditRecord>

    /// - Parameters:
    ///   - journal: the journal's socket; nil for lines of text.
    ///   - queue: where delayed records are written.
    init(journal: String?, metrics: DaemonMetrics, names: LocalAccountNames, logger: Logger, queue: WorkQueue) {
        let writer = AuditWriter(journal: journal, logger: logger)
        self.metrics = metrics
        self.names = names
        self.writer = writer
        limiter = BurstLimiter(queue: queue) { record, times in
            var record = record
            record.times = times
            writer.write(record)
        }
    }

    /// Writes a record, on the calling thread: after the answer, so that a slow journal delays only the client that
    /// caused the record.
    func write(_ record: AuditRecord) {
        var record = record
        record.user = record.peer.flatMap { names.name(of: $0.credentials.uid) }
        if record.outcome == .denied { metrics.denials.increment() }
        guard record.outcome != .changed, let peer = record.peer, peer.account != 0 else { return writer.write(record) }
        limiter.add(record, of: Kind(account: peer.account, outcome: record.outcome))
    }

    /// Writes the delayed records.
    func finish() { limiter.finish() }
}

private final class AuditWriter: Sendable {
    private let journal: String?
    private let socket = Mutex<DatagramSocket?>(nil)
    private let logger: Logger

    init(journal: String?, logger: Logger) {
        self.journal = journal
        self.logger = logger
    }

    func write(_ record: AuditRecord) {
        if let journal, send(JournalEntry(record).bytes, to: journal) { return }
        // What the log drops need not be put together.
        if record.outcome.level < logger.logLevel { return }
        var fields: Logger.Metadata = [:]
        for (name, value) in record.fields where name != "method" { fields[name] = "\(value)" }
        logger.log(level: record.outcome.level, "\(record.headline)", metadata: fields)
    }

    /// - Returns: false if the journal did not take it.
    private func send(_ bytes: [UInt8], to path: String) -> Bool {
        socket.withLock { socket in
            // The journal may have been restarted since: its socket is another one then.
            for _ in 0..<2 {
                if socket == nil { socket = try? DatagramSocket(connectedTo: path) }
                if (try? socket?.send(bytes)) != nil { return true }
                socket = nil
            }
            return false
        }
    }
}

extension AuditRecord.Outcome {
    var level: Logger.Level {
        switch self {
        case .changed: .info
        case .denied: .warning
        case .failed: .notice
        }
    }
}
