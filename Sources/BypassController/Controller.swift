internal import BypassAPI
internal import Kubernetes
internal import Logging

/// Makes true what labels on the node's pods ask for.
///
/// Two sets are followed: the labelled pods, as the API server tells them, and the bypasses, as the daemon does. Whenever
/// something in either changes for a pod, what is wanted and what is are compared, and the difference is carried out: so it
/// does not matter who was away when something happened. Each pod is worked on for itself: one that is stuck holds up no
/// other.
actor Controller {
    /// What is known of one pod.
    struct Tracked {
        var name: PodName
        /// nil if it is not labelled, or has gone.
        var pod: Pod?
        /// As it was last, for telling.
        var last: Pod?
        var bypass: BypassStatus?
        var applied: Options?
        /// When the daemon has told that time was over.
        var ended: Timestamp?
        var wasOn = false
        /// Whether somebody else has bypassed the pod.
        var isBlocked = false
        var backoff = Backoff(first: .milliseconds(100), longest: .seconds(60))
        var isDirty = false
        var worker: Task<Void, Never>?
        var alarm: Task<Void, Never>?
        /// Since when it is other than it should be, as far as telling people goes.
        var oddSince: ContinuousClock.Instant?
    }

    var tracked: [String: Tracked] = [:]
    /// The newest decision about each namespace of which the daemon has told. Answers come on another way than events, and
    /// may be older.
    var decided: [UInt64: Int] = [:]
    /// Nothing is done before the labels are known, nor while the bypasses are not.
    var knowsPods = false
    var knowsBypasses = false
    /// Why the bypasses are not known.
    var trouble = "the daemon has not answered yet"
    let calls: DaemonCalls
    let teller: Teller
    let logger: Logger
    let metrics: ControllerMetrics

    init(calls: DaemonCalls, teller: Teller, metrics: ControllerMetrics, logger: Logger) {
        self.calls = calls
        self.teller = teller
        self.metrics = metrics
        self.logger = logger
    }

    /// Ends all work that is under way.
    func stop() async {
        let tasks = tracked.values.flatMap { [$0.worker, $0.alarm].compactMap(\.self) }
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
        await teller.stop()
    }

    /// Why this is not ready; nil if it is.
    var obstacle: String? {
        if !knowsPods { return "the pods are not known yet" }
        return knowsBypasses ? nil : trouble
    }

    // MARK: one pod

    /// Changes what is known of a pod, and has it looked at.
    func update(_ name: PodName, _ change: (inout Tracked) -> Void) {
        change(&tracked[name.uid, default: Tracked(name: name)])
        look(at: name.uid)
    }

    /// Compares what is wanted and what is, now.
    func look(at uid: String) {
        guard var pod = tracked[uid] else { return }
        pod.alarm?.cancel()
        pod.alarm = nil
        pod.isDirty = true
        tracked[uid] = pod
        guard pod.worker == nil else { return }
        tracked[uid]?.worker = Task { await self.work(on: uid) }
    }

    func lookAtAll() {
        for uid in tracked.keys { look(at: uid) }
    }

    /// Looks again some time later, if nothing happens before.
    func look(at uid: String, after time: Duration) {
        setAlarm(uid, after: time) { controller in controller.look(at: uid) }
    }

    /// Asks some time later what the bypass is like then, if nothing happens before.
    func check(_ uid: String, after time: Duration) {
        setAlarm(uid, after: time) { controller in
            guard let bypass = controller.tracked[uid]?.bypass else { return }
            if let status = try? await controller.calls.status(of: bypass), status.owner == bypass.owner {
                controller.tracked[uid]?.take(status)
            }
            controller.look(at: uid)
        }
    }

    /// A pod has one alarm: a later one takes the place of the one before, and a look ends it.
    private func setAlarm(
        _ uid: String, after time: Duration, _ body: @escaping @Sendable (isolated Controller) async -> Void
    ) {
        tracked[uid]?.alarm?.cancel()
        tracked[uid]?.alarm = Task {
            do {
                try await Task.sleep(for: time)
            } catch {
                return
            }
            await body(self)
        }
    }

    private func work(on uid: String) async {
        while tracked[uid]?.isDirty == true, !Task.isCancelled {
            tracked[uid]?.isDirty = false
            await settle(uid)
        }
        tracked[uid]?.worker = nil
        if let pod = tracked[uid], pod.pod == nil, pod.bypass == nil, knowsPods, knowsBypasses { tracked[uid] = nil }
    }
}

extension Controller.Tracked {
    init(name: PodName) {
        self.name = name
    }

    var view: PodView {
        let told = PodState.end(in: pod?.metadata.annotations[Names.status])
        return PodView(
            verdict: pod.map(Verdict.init), bypass: bypass, applied: applied, end: ended ?? told, wasOn: wasOn)
    }

    /// Takes what the daemon tells of the pod's bypass, unless something newer is known: answers and events come on
    /// different ways.
    mutating func take(_ status: BypassStatus) {
        if let bypass, bypass.inode == status.inode, (bypass.generation ?? 0) > (status.generation ?? 0) { return }
        bypass = status
        ended = nil
    }

    /// The bypass is over.
    mutating func noteEnd(generation: Int?) {
        if let known = bypass?.generation, let generation, known > generation { return }
        bypass = nil
    }
}
