internal import BypassAPI
internal import BypassClient
internal import Kubernetes
internal import Logging

// MARK: what is done for one pod, and what is said of it

extension Controller {
    /// A daemon that is restarted, or a rule that is repaired, is no news.
    private static let patience = Duration.seconds(5)

    /// Does one thing for a pod.
    func settle(_ uid: String) async {
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
            await say(.failed(trouble), of: pod)
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
        guard let last = pod.last else {
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
