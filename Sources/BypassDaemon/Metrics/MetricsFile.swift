internal import BypassAPI
internal import Linux
internal import Logging
internal import NIOCore
internal import Synchronization

/// Writes the metrics for node_exporter's textfile collector, which reads whatever file is there: as a whole, and taken away
/// when the daemon ends, since numbers of a daemon that does not run would look as if it did.
final class MetricsFile: Sendable {
    private let path: String
    private let engine: Engine
    private let complaint = Mutex<String?>(nil)

    private static let interval = TimeAmount.seconds(15)

    init(_ path: String, _ engine: Engine) {
        self.path = path
        self.engine = engine
    }

    func start() {
        engine.background.scheduleRepeatedAsyncTask(initialDelay: .zero, delay: Self.interval) { _ in
            self.engine.outside { self.write() }
        }
    }

    /// To be called when nothing is written any more.
    func remove() { try? Files.remove(path) }

    private func write() {
        let failure: String?
        do throws(SystemCallError) {
            try Files.write(Array(engine.metrics().text.utf8), to: path, mode: 0o644)
            failure = nil
        } catch {
            failure = "\(error)"
        }
        let isNew = complaint.withLock { complaint in
            defer { complaint = failure }
            return complaint != failure
        }
        if isNew, let failure {
            engine.logger.warning(
                "the metrics file cannot be written", metadata: ["path": "\(path)", "error": "\(failure)"])
        }
    }
}
