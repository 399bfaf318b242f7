internal import BypassAPI
internal import Kubernetes
internal import Logging
internal import Retry
internal import StrictJSON

/// Reports the state of bypasses on their pods: as an annotation and as Events, and by removing the label of a bypass that has
/// expired. The API server may be slow or unavailable: only the latest update of each pod is kept, and retried.
actor StatusReporter {
    /// What to report on one pod.
    struct StatusUpdate: Sendable {
        var pod: PodReference
        var condition: BypassCondition
        var direction = Direction.both
        /// The pod as it was seen last, to check for more to report.
        var object: Pod?
    }

    private let client: APIClient
    private let events: EventRecorder
    private let peerAuthentication: PeerAuthenticationChecker
    private let logger: Logger
    private let semaphore = AsyncSemaphore(permits: 4)
    /// The latest update of each pod, by UID.
    private var pending: [String: StatusUpdate] = [:]
    private var workers: [String: Task<Void, Never>] = [:]
    /// The annotations that this process has written. It is a cache: entries may be dropped.
    private var written: [String: String?] = [:]

    private static let maxWritten = 4096

    init(_ client: APIClient, node: String, logger: Logger) {
        self.client = client
        self.logger = logger
        events = EventRecorder(client, node: node)
        peerAuthentication = PeerAuthenticationChecker(client)
    }

    /// Reports a condition, unless the pod's annotation has it already.
    ///
    /// - Parameter annotation: the pod's annotation, as far as the caller knows.
    func report(_ update: StatusUpdate, replacing annotation: String?) {
        let uid = update.pod.uid
        if pending[uid] == nil, workers[uid] == nil, !update.condition.replaces(written[uid] ?? annotation) {
            if update.condition.annotation == nil { written[uid] = nil }
            return
        }
        pending[uid] = update
        guard workers[uid] == nil else { return }
        workers[uid] = Task { await self.runWorker(uid) }
    }

    /// Cancels all reports that are still pending.
    func stop() async {
        pending = [:]
        let workers = Array(workers.values)
        for worker in workers { worker.cancel() }
        for worker in workers { await worker.value }
    }

    private func runWorker(_ uid: String) async {
        var backoff = ExponentialBackoff()
        while let update = pending.removeValue(forKey: uid), !Task.isCancelled {
            if let known = written[uid], !update.condition.replaces(known) { continue }
            do throws(APIError) {
                try await semaphore.withPermit(orThrow: .cancelled) { () throws(APIError) in try await write(update) }
                backoff.reset()
                if written.count >= Self.maxWritten { written = [:] }
                if let annotation = update.condition.annotation {
                    written[uid] = .some(annotation)
                } else {
                    written[uid] = nil
                }
            } catch {
                if error == .cancelled { break }
                logger.warning(
                    "a pod's status cannot be reported", metadata: ["pod": "\(update.pod)", "error": "\(error)"])
                // A retry would be refused, too.
                if [400, 403].contains(error.code ?? 0) { continue }
                if pending[uid] == nil { pending[uid] = update }
                try? await Task.sleep(for: backoff.next())
            }
        }
        workers[uid] = nil
    }

    private func write(_ update: StatusUpdate) async throws(APIError) {
        guard try await patch(update) else { return }
        guard let event = update.condition.event(direction: update.direction) else { return }
        await record(event, about: update.pod)
        guard case .on = update.condition, let pod = update.object, Sidecar(in: pod) == .istio,
            let policy = await peerAuthentication.strictPolicy(for: pod)
        else { return }
        await record(
            BypassCondition.Event(
                reason: "BypassStrictMTLS", isWarning: true,
                message:
                    "PeerAuthentication \(policy.metadata.namespace)/\(policy.metadata.name) requires mTLS (STRICT) here. "
                    + "A bypassed pod sends plaintext, which peers that require mTLS refuse, and it cannot read the mTLS "
                    + "of its clients."), about: update.pod)
    }

    /// Events are best effort: one that cannot be written is logged and dropped.
    private func record(_ event: BypassCondition.Event, about pod: PodReference) async {
        do throws(APIError) {
            try await events.record(event, about: pod)
        } catch {
            logger.info("an Event cannot be written", metadata: ["pod": "\(pod)", "error": "\(error)"])
        }
    }

    /// Sets the annotation, and removes the label of a bypass that has expired.
    ///
    /// - Returns: false if the pod was deleted, even if another one has its name now.
    private func patch(_ update: StatusUpdate) async throws(APIError) -> Bool {
        let annotation = update.condition.annotation.map { JSONValue.string($0) } ?? .null
        var metadata: [(String, JSONValue)] = [
            // A precondition: UIDs are immutable, so the API server refuses to patch another pod of that name.
            ("uid", .string(update.pod.uid)), ("annotations", [Annotations.status: annotation]),
        ]
        if case .expired = update.condition { metadata.append(("labels", [BypassLabel.key: .null])) }
        do throws(APIError) {
            _ = try await client.patch(
                "/api/v1/namespaces/\(update.pod.namespace)/pods/\(update.pod.name)",
                with: ["metadata": .object(JSONObject(uniqueMembers: metadata))])
            return true
        } catch {
            if error.isUIDMismatch { return false }
            throw error
        }
    }
}

extension APIError {
    /// Whether a patch with a UID was refused because that object does not exist, even if another one has its name now. The
    /// API server reports a UID that does not match as invalid (422); implementations that report a conflict (409) name the
    /// UID. Other conflicts are transient.
    fileprivate var isUIDMismatch: Bool {
        guard case .refused(let status) = self else { return false }
        return [404, 422].contains(status.code) || status.code == 409 && status.message.lowercased().contains("uid")
    }
}
