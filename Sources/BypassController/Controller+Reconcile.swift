internal import BypassAPI
internal import BypassClient
internal import Kubernetes
internal import Logging
internal import PodBypass
internal import Retry

// MARK: what is done for one pod, and what is reported about it

extension Controller {
    /// Restarts of the daemon and repairs of rules take less, and are not reported.
    private static let reportDelay = Duration.seconds(5)

    /// Takes one step towards the desired state of a pod.
    func reconcile(_ uid: String) async {
        guard var entry = entries[uid], podsSynced, entry.pod != nil || !unreadablePods.contains(uid) else { return }
        var action = entry.snapshot(sidecars).action(at: .now)
        if entry.isBypassUnknown || action.isTurnOn && entry.isToBeLookedUp, bypassesSynced {
            do throws(DaemonClient.Failure) {
                try await lookUpBypass(entry)
            } catch {
                return await handleFailure(uid, error)
            }
            guard let found = entries[uid] else { return }
            entry = found
            action = entry.snapshot(sidecars).action(at: .now)
        }
        guard bypassesSynced else { return await waitForDaemon(entry, action) }
        do throws(DaemonClient.Failure) {
            switch action {
            case .upToDate(let condition):
                entries[uid]?.backoff.reset()
                return await upToDate(entry, condition)
            case .turnOn(let spec, let ttl):
                guard let pod = entry.pod else { return }
                let bypass = try await daemon.turnOn(
                    entry.reference, netns: "pod:" + pod.kubeletUID, addresses: pod.addresses, spec, ttl: ttl,
                    replacing: entry.bypass)
                logger.info("bypassed", metadata: ["pod": "\(entry.reference)", "inode": "\(bypass.inode)"])
                entries[uid]?.appliedSpec = spec
                if latestGenerations[bypass.inode, default: 0] <= bypass.generation ?? 0 {
                    entries[uid]?.setBypass(bypass)
                }
            case .turnOff:
                guard let bypass = entry.bypass else { return }
                let status = try await daemon.turnOff(bypass, of: await lastKnownPod(entry))
                logger.info("no longer bypassed", metadata: ["pod": "\(entry.reference)", "inode": "\(bypass.inode)"])
                entries[uid]?.wasOn = true
                entries[uid]?.foreignBypass = status.flatMap(BypassCondition.sentences(ofForeignBypassesIn:))
                entries[uid]?.clearBypass(generation: status?.generation)
            }
            entries[uid]?.isForeign = false
            entries[uid]?.needsReconcile = true
        } catch {
            await handleFailure(uid, error)
        }
    }

    /// The pod whose bypass is to end, as it was seen last; one that has lost its label while no controller ran is looked up.
    private func lastKnownPod(_ entry: PodEntry) async -> Pod? {
        if let pod = entry.lastSeen { return pod }
        return await pods.pod(entry.reference)
    }

    /// Asks the daemon for what its list and its events do not have: a bypass of a pod that the list did not show, or one that
    /// has expired while this controller was away.
    private func lookUpBypass(_ entry: PodEntry) async throws(DaemonClient.Failure) {
        let uid = entry.reference.uid
        do throws(DaemonClient.Failure) {
            let status = try await daemon.status(
                of: "pod:" + (entry.lastSeen?.kubeletUID ?? uid), addresses: entry.lastSeen?.addresses ?? [])
            // An event may have come first.
            if entries[uid]?.isToBeLookedUp == true { entries[uid]?.lookedUp(status) }
        } catch {
            // Without a namespace there is nothing to know.
            guard case .call(.refused(let refusal)) = error, refusal.known == .netnsNotFound else { throw error }
            entries[uid]?.isBypassUnknown = false
            entries[uid]?.mayHaveExpired = false
        }
    }

    private func handleFailure(_ uid: String, _ failure: DaemonClient.Failure) async {
        guard var entry = entries[uid], !Task.isCancelled else { return }
        let delay = entry.backoff.next()
        if case .foreign = failure { entry.isForeign = true }
        entries[uid] = entry
        if !entry.needsReconcile { enqueue(uid, after: delay) }
        if failure.isConflict { return }
        logger.notice(
            "reconciling a pod failed", metadata: ["pod": "\(entry.reference)", "error": "\(failure.reason)"])
        if shouldReport(uid, failure) { await report(entry.condition(after: failure.reason), of: entry) }
    }

    /// A restarting daemon, and a pod whose network is still being set up, recover within moments.
    private func shouldReport(_ uid: String, _ failure: DaemonClient.Failure) -> Bool {
        switch failure {
        case .foreign: return true
        case .call(.refused(let error)) where !Self.transient.contains(error.known): return true
        case .call: return isUnhealthyForLong(uid)
        }
    }

    /// Errors that nearly always go away within moments.
    private static let transient: Set<ErrorCode?> = [.netnsNotFound, .netnsMismatch, .limitExceeded]

    /// Starts to count when it is asked first.
    private func isUnhealthyForLong(_ uid: String) -> Bool {
        let since = entries[uid]?.unhealthySince ?? .now
        entries[uid]?.unhealthySince = since
        return since.duration(to: .now) >= Self.reportDelay
    }

    private func waitForDaemon(_ entry: PodEntry, _ action: ReconcileAction) async {
        guard action.isTurnOn else { return }
        if isUnhealthyForLong(entry.reference.uid) {
            await report(entry.condition(after: daemonError), of: entry)
        } else {
            enqueue(entry.reference.uid, after: Self.reportDelay)
        }
    }

    private func upToDate(_ entry: PodEntry, _ condition: BypassCondition?) async {
        let uid = entry.reference.uid
        if let condition, condition.isObservedByAsking {
            // Damage is nearly always repaired within seconds. No event reports what else overrides the bypass, or when that
            // ends.
            let isLong = isUnhealthyForLong(uid)
            refreshStatus(uid, after: isLong ? Self.reportDelay * 2 : Self.reportDelay)
            if !isLong { return }
        }
        if case .on = condition { entries[uid]?.unhealthySince = nil }
        if let condition { await report(condition, of: entry) }
    }

    private func report(_ condition: BypassCondition, of entry: PodEntry) async {
        guard let pod = entry.lastSeen else {
            // The label was removed while no controller ran: the pod may exist, and its annotation is unknown.
            switch condition {
            case .off(wasOn: true), .offNotEffective, .unchanged: break
            default: return
            }
            return await statusReporter.report(
                .init(pod: entry.reference, condition: condition), replacing: "unknown")
        }
        // A pod that is being deleted needs no report that its bypass is off.
        if condition.isOff, pod.metadata.deletionTimestamp != nil { return }
        await statusReporter.report(
            .init(
                pod: entry.reference, condition: condition, spec: entry.presentSpec, object: pod),
            replacing: pod.metadata.annotations[Annotations.status])
    }
}

extension Controller.PodEntry {
    /// What is reported after a change has failed. A bypass that runs stays as it was.
    fileprivate func condition(after failure: String) -> BypassCondition {
        bypass.map { .unchanged(until: $0.expiresAt, failure) } ?? .failed(failure, until: expiry)
    }

    /// The pod's bypass, as far as an Event describes it.
    fileprivate var presentSpec: BypassSpec {
        BypassSpec(
            direction: bypass?.direction ?? .both, only: bypass?.only, connections: appliedSpec?.connections)
    }
}
