internal import Linux
internal import Logging
internal import Synchronization

/// Writes the metrics for node_exporter's textfile collector, which reads whatever file is there: as a whole, and removed
/// when the daemon ends, since numbers of a daemon that does not run would look as if it did.
final class MetricsFile: Sendable {
    private let path: String
    private let manager: BypassManager
    private let queue: WorkQueue
    private let lastLoggedError = Mutex<String?>(nil)

    private static let interval = Interval.seconds(15)

    init(_ path: String, _ manager: BypassManager, queue: WorkQueue) {
        self.path = path
        self.manager = manager
        self.queue = queue
    }

    /// Writes now, and again and again.
    func start() {
        write()
        queue.add(at: .now + Self.interval) { self.start() }
    }

    /// To be called after the last write.
    func remove() { try? Files.remove(path) }

    private func write() {
        let failure: String?
        do throws(SystemCallError) {
            let text = manager.metricsText
            try Files.write(Array(text.utf8), to: path, mode: 0o644)
            failure = nil
        } catch {
            failure = "\(error)"
        }
        let isNew = lastLoggedError.withLock { last in
            defer { last = failure }
            return last != failure
        }
        if isNew, let failure {
            manager.logger.warning(
                "the metrics file cannot be written", metadata: ["path": "\(path)", "error": "\(failure)"])
        }
    }
}
