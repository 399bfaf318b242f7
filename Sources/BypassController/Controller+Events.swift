internal import BypassAPI
internal import BypassClient
internal import CoreMetrics
internal import Kubernetes
internal import Logging
internal import PodBypass
internal import Retry

// MARK: events from the API server

extension Controller {
    func handle(_ element: ResourceWatch<Pod>.Element) async {
        let wasFailing = watchFailure != nil
        if case .disconnected(let error) = element {
            watchFailure = (watchFailure?.since ?? .now, error.description)
        } else {
            watchFailure = nil
        }
        switch element {
        case .snapshot(let pods, let unreadable):
            await statusReporter.forgetWritten()
            for object in unreadable { reportUnreadable(object.reason) }
            let labelled = Set(pods.map(\.metadata.uid) + unreadable.map(\.uid))
            for entry in entries.values where entry.pod != nil && !labelled.contains(entry.reference.uid) {
                podDeleted(entry.reference)
            }
            let unreadableBefore = unreadablePods
            unreadablePods = Set(unreadable.map(\.uid))
            for uid in unreadableBefore.subtracting(unreadablePods) { enqueue(uid) }
            for pod in pods { podUpserted(pod) }
            if !podsSynced {
                podsSynced = true
                enqueueAll()
            }
        case .changed(let pod): podUpserted(pod)
        case .deleted(let pod):
            unreadablePods.remove(pod.metadata.uid)
            entries[pod.metadata.uid]?.lastSeen = pod
            podDeleted(PodReference(pod))
        case .disconnected(let error):
            metrics.recordDisconnection(from: .apiServer)
            logger.warning("the watch of pods failed", metadata: ["error": "\(error)", "hint": "\(error.hint)"])
        case .resumed: logger.info("the watch of pods has resumed")
        case .unreadable(let reason): reportUnreadable(reason)
        }
        metrics.pods.set(entries.values.count { $0.pod != nil })
        if wasFailing, watchFailure == nil {
            enqueueAll()
            await statusReporter.retryNow()
        }
    }

    private func reportUnreadable(_ reason: String) {
        logger.warning("a pod cannot be read, and is left as it is", metadata: ["error": "\(reason)"])
    }

    private func podUpserted(_ pod: Pod) {
        unreadablePods.remove(pod.metadata.uid)
        let known = entries[pod.metadata.uid]?.pod
        // The kubelet updates a pod's status often, and most updates change nothing that a decision depends on.
        let isRelevant = known.map { !isEquivalent($0, pod) } ?? true
        var entry = entries[pod.metadata.uid] ?? newEntry(PodReference(pod))
        // The owner of a bypass may have a truncated name.
        entry.reference = PodReference(pod)
        entry.pod = pod
        entry.lastSeen = pod
        if known == nil {
            (entry.wasOn, entry.foreignBypass) = (false, nil)
            // One that was labelled before this process watched may have been bypassed by another one.
            (entry.mayHaveExpired, entry.labelledSince) = (!podsSynced, podsSynced ? .now : pod.labelledSince)
        }
        if isRelevant { entry.backoff.reset() }
        entries[pod.metadata.uid] = entry
        if isRelevant { enqueue(pod.metadata.uid) }
    }

    private func newEntry(_ reference: PodReference) -> PodEntry {
        var entry = PodEntry(reference: reference)
        entry.isBypassUnknown = !isListComplete
        return entry
    }

    /// Whether everything that a decision depends on is the same.
    private func isEquivalent(_ pod: Pod, _ other: Pod) -> Bool {
        Eligibility(of: pod, sidecars: sidecars) == Eligibility(of: other, sidecars: sidecars)
            && pod.addresses == other.addresses
            && pod.metadata.annotations[Annotations.status] == other.metadata.annotations[Annotations.status]
    }

    /// The pod was deleted, or its label removed.
    private func podDeleted(_ reference: PodReference) {
        guard entries[reference.uid] != nil else { return }
        update(reference) {
            $0.reference = reference
            $0.pod = nil
            $0.appliedSpec = nil
            $0.expiredAt = nil
            $0.isForeign = false
            $0.unhealthySince = nil
            $0.backoff.reset()
        }
    }
}

// MARK: events from the daemon

extension Controller {
    func handle(_ element: BypassWatch.Element) {
        switch element {
        case .snapshot(let list):
            latestGenerations = [:]
            isListComplete = list.isComplete
            if !isListComplete {
                logger.warning(
                    "the daemon's list does not show all bypasses: one of a pod that has lost its label may stay on",
                    metadata: ["shown": "\(list.bypasses.count)", "hint": "kmesh-bypassctl status pod:UID"])
            }
            for uid in entries.keys {
                entries[uid]?.bypass = nil
                entries[uid]?.isBypassUnknown = !isListComplete
                // Events before the list are not known.
                entries[uid]?.mayHaveExpired = true
            }
            for bypass in list.bypasses { attach(bypass) }
            daemonConnected()
        case .change(let name, let event):
            bypassChanged(name, event.bypass)
        case .disconnected(let error):
            if bypassesSynced { metrics.recordDisconnection(from: .daemon) }
            bypassesSynced = false
            daemonError = error.description
            metrics.isConnected.set(0)
            logger.warning("the daemon is not connected", metadata: ["error": "\(error)"])
            enqueueAll()
        case .resumed: daemonConnected()
        }
        metrics.bypassed.set(entries.values.count { $0.bypass != nil })
    }

    private func daemonConnected() {
        bypassesSynced = true
        metrics.isConnected.set(1)
        logger.info("the daemon is connected")
        for uid in entries.keys {
            entries[uid]?.unhealthySince = nil
            entries[uid]?.backoff.reset()
        }
        enqueueAll()
    }

    /// Assigns a bypass to the pod that owns it, if a pod does.
    private func attach(_ bypass: BypassStatus) {
        guard let reference = PodReference(owner: bypass.owner) else { return }
        entries[reference.uid, default: PodEntry(reference: reference)].setBypass(bypass)
    }

    private func bypassChanged(_ event: BypassEvent.Name, _ bypass: BypassStatus) {
        latestGenerations[bypass.inode] = event == .gone ? nil : bypass.generation
        if event.leavesBypass, let reference = PodReference(owner: bypass.owner) {
            detach(bypass.inode, except: reference.uid, generation: bypass.generation)
            attach(bypass)
            return enqueue(reference.uid)
        }
        // The bypass has ended, or another owner has it now.
        let expiredAt = event == .expired ? bypass.expiresAt ?? .now : nil
        detach(bypass.inode, except: nil, generation: bypass.generation, expiredAt: expiredAt)
        guard !event.leavesBypass else { return }
        for entry in entries.values where entry.isForeign { enqueue(entry.reference.uid) }
    }

    /// Takes a namespace's bypass away from every pod but one.
    private func detach(_ inode: UInt64, except uid: String?, generation: Int?, expiredAt: Timestamp? = nil) {
        for entry in entries.values where entry.bypass?.inode == inode && entry.reference.uid != uid {
            update(entry.reference) {
                $0.clearBypass(generation: generation)
                if $0.bypass == nil, let expiredAt { $0.expiredAt = expiredAt }
            }
        }
    }
}

extension Pod {
    /// No bypass of the present label was on before this, as far as the pod says: the end of an earlier one is reported, or
    /// `kubectl bypass` has set the label again.
    fileprivate var labelledSince: Timestamp? {
        let reported = BypassCondition.reportedExpiry(in: metadata.annotations[Annotations.status])
        let set = metadata.annotations[Annotations.setAt].flatMap { Timestamp($0) }
        return [reported, set].compactMap(\.self).max()
    }
}

extension APIError {
    /// The remedy for an operator.
    fileprivate var hint: String {
        switch code {
        case 401: "the token or certificate is not valid: check the kubeconfig or the service account"
        case 403: "the account lacks a permission: `kmesh-bypassctl manifest` prints the roles that it needs"
        default: "retrying"
        }
    }
}
