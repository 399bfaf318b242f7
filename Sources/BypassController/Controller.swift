internal import BypassAPI
internal import Kubernetes
internal import Linux
internal import Logging
internal import PodBypass
internal import Retry

/// Makes the bypasses on the node match the labels of its pods.
///
/// Two watches feed it: the labelled pods, from the API server, and the bypasses, from the daemon. When either changes for a
/// pod, the pod is enqueued, and `reconcile` compares desired and observed state and applies the difference. So it does not
/// matter which side was away when something changed. Each pod has its own worker: one that is stuck delays no other.
actor Controller {
    /// The knowledge about one pod.
    struct PodEntry {
        var reference: PodReference
        /// nil if the pod is not labelled, or was deleted.
        var pod: Pod?
        /// The object as it was seen last, for status reports.
        var lastSeen: Pod?
        var bypass: BypassStatus?
        /// Whether `bypass` is nil because the daemon's list was too long to show it, if there is one.
        var isBypassUnknown = false
        /// The last request to the daemon; nil if this process did not make one.
        var appliedSpec: BypassSpec?
        /// When the bypass expired, as reported by the daemon.
        var expiredAt: Timestamp?
        /// Whether a bypass of the pod may have expired without a word to this process.
        var mayHaveExpired = false
        /// Before this the pod had no label, or what was on then is reported; nil if that is not known.
        var labelledSince: Timestamp?
        /// Whether this controller has turned the pod's bypass off.
        var wasOn = false
        /// The daemon's report then about rules of another program that bypass the sidecar.
        var foreignBypass: String?
        /// Whether another owner has bypassed the pod.
        var isForeign = false
        var backoff = ExponentialBackoff(firstDelay: .milliseconds(100), longestDelay: .seconds(60))
        var needsReconcile = false
        var worker: Task<Void, Never>?
        var requeueTimer: Task<Void, Never>?
        /// Since when the pod has not been in its desired state; nil if it is, or if that is not tracked yet.
        var unhealthySince: ContinuousClock.Instant?
    }

    /// By UID.
    var entries: [String: PodEntry] = [:]
    /// The UIDs of labelled pods that were listed but cannot be decoded. If nothing else is known of one, it is left as it is.
    var unreadablePods: Set<String> = []
    /// The newest generation of each namespace, by inode, that the daemon has sent an event about. Answers and events use
    /// different connections, so an answer may be older than an event that came before it.
    var latestGenerations: [UInt64: Int] = [:]
    /// Nothing is reconciled before the pods are listed, nor while the daemon is disconnected.
    var podsSynced = false
    var bypassesSynced = false
    /// Whether the list that the daemon has sent first had all bypasses.
    var isListComplete = true
    /// Since when the watch of pods does not work, and why; nil while it does.
    var watchFailure: (since: ContinuousClock.Instant, reason: String)? = (.now, "the pods are not synced yet")
    /// The reason that the bypasses are not synced.
    var daemonError = "the daemon has not answered yet"
    let daemon: DaemonClient
    let statusReporter: StatusReporter
    let pods: PodLookup
    let sidecars: Sidecars
    let logger: Logger
    let metrics: ControllerMetrics

    init(
        daemon: DaemonClient, statusReporter: StatusReporter, pods: PodLookup, sidecars: Sidecars,
        metrics: ControllerMetrics, logger: Logger
    ) {
        self.daemon = daemon
        self.pods = pods
        self.sidecars = sidecars
        self.statusReporter = statusReporter
        self.metrics = metrics
        self.logger = logger
    }

    /// Cancels all work in progress, and waits until it has ended.
    func stop() async {
        let tasks = entries.values.flatMap { [$0.worker, $0.requeueTimer].compactMap(\.self) }
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
        await statusReporter.stop()
    }

    /// nil if the controller is ready.
    var notReadyReason: String? {
        if !podsSynced { return watchFailure?.reason ?? "the pods are not synced yet" }
        if let watchFailure, watchAge >= Self.maxWatchAge {
            return "the pods have not been watched for \(watchAge.components.seconds) s: \(watchFailure.reason)"
        }
        return bypassesSynced ? nil : daemonError
    }

    /// A restart of an API server takes less.
    private static let maxWatchAge = Duration.seconds(60)

    /// For how long the watch of pods has not worked; zero while it does.
    var watchAge: Duration { watchFailure?.since.duration(to: .now) ?? .zero }

    // MARK: the queue

    /// Changes what is known of a pod, and enqueues it.
    func update(_ reference: PodReference, _ change: (inout PodEntry) -> Void) {
        change(&entries[reference.uid, default: PodEntry(reference: reference)])
        enqueue(reference.uid)
    }

    /// Has a pod reconciled now.
    func enqueue(_ uid: String) {
        guard var entry = entries[uid] else { return }
        entry.requeueTimer?.cancel()
        entry.requeueTimer = nil
        entry.needsReconcile = true
        entries[uid] = entry
        guard entry.worker == nil else { return }
        entries[uid]?.worker = Task { await self.runWorker(uid) }
    }

    func enqueueAll() {
        for uid in entries.keys { enqueue(uid) }
    }

    /// Has a pod reconciled after a delay, unless it is enqueued before.
    func enqueue(_ uid: String, after delay: Duration) {
        setRequeueTimer(uid, after: delay) { controller in controller.enqueue(uid) }
    }

    /// Reads the bypass's status from the daemon after a delay, and then has the pod reconciled, unless it is enqueued before.
    func refreshStatus(_ uid: String, after delay: Duration) {
        setRequeueTimer(uid, after: delay) { controller in
            guard let bypass = controller.entries[uid]?.bypass else { return }
            if let status = try? await controller.daemon.status(of: bypass), status.owner == bypass.owner {
                controller.entries[uid]?.setBypass(status)
            }
            controller.enqueue(uid)
        }
    }

    /// A pod has one timer: a new one replaces it, and `enqueue` cancels it.
    private func setRequeueTimer(
        _ uid: String, after delay: Duration, _ body: @escaping @Sendable (isolated Controller) async -> Void
    ) {
        entries[uid]?.requeueTimer?.cancel()
        entries[uid]?.requeueTimer = Task {
            do {
                try await Task.sleep(for: delay)
            } catch {
                return
            }
            await body(self)
        }
    }

    private func runWorker(_ uid: String) async {
        while entries[uid]?.needsReconcile == true, !Task.isCancelled {
            entries[uid]?.needsReconcile = false
            await reconcile(uid)
        }
        entries[uid]?.worker = nil
        if let entry = entries[uid], entry.pod == nil, entry.bypass == nil, podsSynced, bypassesSynced {
            entries[uid] = nil
        }
    }
}

extension Controller.PodEntry {
    init(reference: PodReference) {
        self.reference = reference
    }

    func snapshot(_ sidecars: Sidecars) -> PodSnapshot {
        PodSnapshot(
            eligibility: pod.map { Eligibility(of: $0, sidecars: sidecars) }, bypass: bypass, appliedSpec: appliedSpec,
            expiry: expiry, hasStatus: pod?.metadata.annotations[Annotations.status] != nil, wasOn: wasOn,
            foreignBypass: foreignBypass)
    }

    /// When the bypass was to expire, as the daemon or the pod's annotation reported.
    var expiry: Timestamp? {
        expiredAt ?? BypassCondition.expiry(in: pod?.metadata.annotations[Annotations.status])
    }

    /// Whether the daemon has to be asked before a bypass is turned on: a TTL does not begin again because a controller was away.
    var isToBeLookedUp: Bool { isBypassUnknown || mayHaveExpired && bypass == nil && expiry == nil }

    /// What the daemon reports about the pod's namespace.
    mutating func lookedUp(_ status: BypassStatus) {
        (isBypassUnknown, mayHaveExpired) = (false, false)
        if status.state != .off {
            if PodReference(owner: status.owner)?.uid == reference.uid { setBypass(status) }
        } else if let expired = status.expired, PodReference(owner: expired.owner)?.uid == reference.uid,
            labelledSince.map({ expired.at > $0 }) != false
        {
            expiredAt = expired.at
        }
    }

    /// Sets the pod's bypass to what the daemon reports, unless a newer generation is known: answers and events use different
    /// connections.
    mutating func setBypass(_ status: BypassStatus) {
        if let bypass, bypass.inode == status.inode, (bypass.generation ?? 0) > (status.generation ?? 0) { return }
        bypass = status
        isBypassUnknown = false
        expiredAt = nil
    }

    /// The bypass has ended, unless a newer generation is known.
    mutating func clearBypass(generation: Int?) {
        if let known = bypass?.generation, let generation, known > generation { return }
        bypass = nil
        isBypassUnknown = false
    }
}

extension Timestamp {
    static var now: Timestamp { Timestamp(secondsSince1970: WallClock.now / 1_000_000_000) }
}
