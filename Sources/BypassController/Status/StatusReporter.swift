internal import BypassAPI
internal import Kubernetes
internal import Logging
internal import PodBypass
internal import Retry

/// Reports the state of bypasses on their pods: as an annotation and as Events, and by removing the label of a bypass that has
/// expired. The API server may be slow, unavailable, or refuse for a while: only the latest update of each pod is kept, and
/// retried until it succeeds or the pod is gone.
actor StatusReporter {
    /// The report about one pod.
    struct StatusUpdate: Sendable {
        var pod: PodReference
        var condition: BypassCondition
        /// The state of the bypass, as far as it is known.
        var spec = BypassSpec()
        /// The pod as it was seen last, to check for more to report.
        var object: Pod?
    }

    private let client: APIClient
    private let events: EventQueue
    private let logger: Logger
    private let semaphore = AsyncSemaphore(permits: 4)
    /// The latest update of each pod, by UID.
    private var pending: [String: Pending] = [:]
    private var workers: [String: Task<Void, Never>] = [:]
    /// The pause of a worker before a retry.
    private var retryTimers: [String: Task<Void, Never>] = [:]
    private let observer: @Sendable (_ result: String) -> Void
    /// The annotations that this process has written, which the watch may not have shown yet. It is a cache: entries may be
    /// dropped.
    private var written: [String: Written] = [:]

    private struct Pending {
        var update: StatusUpdate
        /// The pod's annotation, as far as the caller knows.
        var annotation: String?
    }

    private struct Written {
        var annotation: String
        /// Of the pod after the write; nil if the server has not said it.
        var version: Int?
    }

    private static let maxWritten = 4096

    /// - Parameter observer: is called with the result of each update: ok, or the code of the API server's refusal.
    init(
        _ client: APIClient, node: String, logger: Logger,
        observer: @escaping @Sendable (_ result: String) -> Void = { _ in }
    ) {
        self.client = client
        self.observer = observer
        self.logger = logger
        events = EventQueue(client, node: node, logger: logger)
    }

    /// Reports a condition, unless the pod's annotation has it already.
    ///
    /// - Parameter annotation: the pod's annotation, as far as the caller knows.
    func report(_ update: StatusUpdate, replacing annotation: String?) {
        let uid = update.pod.uid
        forgetWritten(uid, asOf: update.object)
        if pending[uid] == nil, workers[uid] == nil,
            !update.condition.replaces(written[uid]?.annotation ?? annotation)
        {
            if update.condition.annotation == nil { written[uid] = nil }
            return
        }
        pending[uid] = Pending(update: update, annotation: annotation)
        guard workers[uid] == nil else { return }
        workers[uid] = Task { await self.runWorker(uid) }
    }

    /// What was seen after the last write is more than what was written: others may have changed the annotation, or another pod
    /// may have the UID, as of a static pod. At the write itself nothing is seen that is not known, and less where the write has
    /// removed the label: the watch shows such a pod as it was before, with the version of the write.
    private func forgetWritten(_ uid: String, asOf pod: Pod?) {
        guard let version = written[uid]?.version, let seen = pod?.metadata.version, seen > version else { return }
        written[uid] = nil
    }

    /// The pods were listed again, and may be older than what was written: after a restored backup of etcd, their versions
    /// begin again at lower numbers.
    func forgetWritten() { written = [:] }

    /// Cancels all reports that are still pending.
    func stop() async {
        pending = [:]
        let workers = Array(workers.values)
        for worker in workers { worker.cancel() }
        for worker in workers { await worker.value }
        await events.stop()
    }

    /// Has every update that waits for its next attempt tried now, unless the server has said when: the API server has answered
    /// something else.
    func retryNow() {
        for timer in retryTimers.values { timer.cancel() }
    }

    private func runWorker(_ uid: String) async {
        var backoff = ExponentialBackoff(longestDelay: .seconds(60))
        var lastDenial: String?
        while let next = pending.removeValue(forKey: uid), !Task.isCancelled {
            let update = next.update
            if !update.condition.replaces(written[uid]?.annotation ?? next.annotation) { continue }
            do throws(APIError) {
                let pod = try await semaphore.withPermit(orThrow: .cancelled) { () throws(APIError) in
                    try await write(update)
                }
                observer("ok")
                backoff.reset()
                if written.count >= Self.maxWritten { written = [:] }
                written[uid] = pod.flatMap { pod in
                    update.condition.annotation.map { Written(annotation: $0, version: pod.version) }
                }
                if pod != nil { await events.add(.status(update)) }
            } catch {
                if error == .cancelled { break }
                observer(error.code.map { "\($0)" } ?? "unreachable")
                logger.warning(
                    "a pod's status cannot be reported, and is tried again",
                    metadata: ["pod": "\(update.pod)", "error": "\(error)"])
                if let denial = error.denial, denial != lastDenial {
                    lastDenial = denial
                    await events.add(.denial(update.pod, denial))
                }
                if pending[uid] == nil { pending[uid] = next }
                let asked = error.retryAfter ?? .zero
                try? await Task.sleep(for: asked)
                await wait(uid, for: max(backoff.next() - asked, .zero))
            }
        }
        workers[uid] = nil
    }

    /// Ends early for `retryNow`.
    private func wait(_ uid: String, for delay: Duration) async {
        let timer = Task { () -> Void in try? await Task.sleep(for: delay) }
        retryTimers[uid] = timer
        await withTaskCancellationHandler {
            await timer.value
        } onCancel: {
            timer.cancel()
        }
        retryTimers[uid] = nil
    }

    /// - Returns: the pod's metadata afterwards; nil if the pod is gone.
    private func write(_ update: StatusUpdate) async throws(APIError) -> ObjectMeta? {
        let hasExpired = if case .expired = update.condition { true } else { false }
        let patch = PodPatch(update.pod, annotation: update.condition.annotation, removesLabel: hasExpired)
        return try await patch.apply(with: client)
    }
}

extension APIError {
    /// A fault that a user of the cluster can fix: the account's permissions, or an admission policy. The server's words.
    fileprivate var denial: String? {
        guard case .refused(let status) = self, [400, 403, 422].contains(status.code) else { return nil }
        return status.message
    }
}
