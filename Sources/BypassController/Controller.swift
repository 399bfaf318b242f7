internal import BypassAPI
internal import BypassClient
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
    let calls: DaemonCalls
    let teller: Teller
    let logger: Logger
    let metrics: ControllerMetrics

    /// A daemon that is restarted, or a rule that is repaired, is no news.
    static let patience = Duration.seconds(5)

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
        return knowsBypasses ? nil : "the daemon is not connected"
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
    private func look(at uid: String, after time: Duration) {
        tracked[uid]?.alarm?.cancel()
        tracked[uid]?.alarm = Task {
            do {
                try await Task.sleep(for: time)
            } catch {
                return
            }
            self.look(at: uid)
        }
    }

    /// Asks some time later what the bypass is like then, if nothing happens before.
    private func check(_ uid: String, after time: Duration) {
        tracked[uid]?.alarm?.cancel()
        tracked[uid]?.alarm = Task {
            do {
                try await Task.sleep(for: time)
            } catch {
                return
            }
            guard let bypass = self.tracked[uid]?.bypass else { return }
            if let status = try? await self.calls.status(of: bypass), status.owner == bypass.owner {
                self.tracked[uid]?.take(status)
            }
            self.look(at: uid)
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

    /// Does one thing for a pod.
    private func settle(_ uid: String) async {
        guard let pod = tracked[uid], knowsPods else { return }
        let step = pod.view.step(at: .now)
        guard knowsBypasses else { return await waitForDaemon(pod, step) }
        do throws(DaemonCalls.Failure) {
            switch step {
            case .rest(let state):
                tracked[uid]?.backoff.reset()
                return await rest(pod, state)
            case .turnOn(let options, let ttl):
                guard let object = pod.pod else { return }
                let bypass = try await calls.turnOn(
                    pod.name, netns: "pod:" + object.kubeletUID, addresses: object.addresses, options, ttl: ttl,
                    known: pod.bypass)
                logger.info("bypassed", metadata: ["pod": "\(pod.name)", "inode": "\(bypass.inode)"])
                tracked[uid]?.applied = options
                if decided[bypass.inode, default: 0] <= bypass.generation ?? 0 { tracked[uid]?.take(bypass) }
            case .turnOff:
                guard let bypass = pod.bypass else { return }
                let status = try await calls.turnOff(bypass)
                logger.info("no longer bypassed", metadata: ["pod": "\(pod.name)", "inode": "\(bypass.inode)"])
                tracked[uid]?.wasOn = true
                tracked[uid]?.noteEnd(generation: status?.generation)
            }
            tracked[uid]?.isBlocked = false
            tracked[uid]?.isDirty = true
        } catch {
            await fail(uid, error)
        }
    }

    private func fail(_ uid: String, _ failure: DaemonCalls.Failure) async {
        guard var pod = tracked[uid], !Task.isCancelled else { return }
        let pause = pod.backoff.next()
        if case .foreign = failure { pod.isBlocked = true }
        tracked[uid] = pod
        if !pod.isDirty { look(at: uid, after: pause) }
        if failure.isConflict { return }
        logger.notice("a pod could not be settled", metadata: ["pod": "\(pod.name)", "error": "\(failure.reason)"])
        // The daemon's own end, and a pod whose network is just being made, are mended within moments.
        if isOdd(uid, at: failure) { await say(.failed(failure.reason), of: pod) }
    }

    private func isOdd(_ uid: String, at failure: DaemonCalls.Failure) -> Bool {
        switch failure {
        case .foreign: return true
        case .call(.refused(let error)) where !Self.passing.contains(error.known): return true
        case .call: return isOddForLong(uid)
        }
    }

    /// What is over within moments, nearly always.
    private static let passing: Set<ErrorCode?> = [.netnsNotFound, .netnsMismatch, .limitExceeded]

    private func isOddForLong(_ uid: String) -> Bool {
        let since = tracked[uid]?.oddSince ?? .now
        tracked[uid]?.oddSince = since
        return since.duration(to: .now) >= Self.patience
    }

    private func waitForDaemon(_ pod: Tracked, _ step: Step) async {
        guard case .turnOn = step else { return }
        if isOddForLong(pod.name.uid) {
            await say(.failed("no kmesh-bypassd answers on the node's \(calls.path)"), of: pod)
        } else {
            look(at: pod.name.uid, after: Self.patience)
        }
    }

    private func rest(_ pod: Tracked, _ state: PodState?) async {
        if case .notEffective = state {
            // Damage is repaired within seconds, nearly always. What else wins against the bypass, and when that ends, is
            // told by no event.
            let isOld = isOddForLong(pod.name.uid)
            check(pod.name.uid, after: isOld ? Self.patience * 2 : Self.patience)
            if !isOld { return }
        }
        if case .on = state { tracked[pod.name.uid]?.oddSince = nil }
        if let state { await say(state, of: pod) }
    }

    private func say(_ state: PodState, of pod: Tracked) async {
        guard let last = pod.last ?? pod.pod else {
            // Labelled no more while nobody looked: the pod may be there.
            guard case .off(wasOn: true) = state else { return }
            return await teller.tell(.init(pod: pod.name, state: state), unless: "unknown")
        }
        // A pod that is going has nobody to tell.
        if case .off = state, last.metadata.deletionTimestamp != nil { return }
        await teller.tell(
            .init(pod: pod.name, state: state, direction: pod.bypass?.direction ?? .both, object: last),
            unless: last.metadata.annotations[Names.status])
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
