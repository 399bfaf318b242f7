internal import BypassAPI
internal import BypassClient
internal import CoreMetrics
internal import Kubernetes
internal import Logging

// MARK: what the API server tells

extension Controller {
    func take(_ element: ResourceWatch<Pod>.Element) {
        switch element {
        case .snapshot(let pods):
            let labelled = Set(pods.map(\.metadata.uid))
            for pod in tracked.values where pod.pod != nil && !labelled.contains(pod.name.uid) { depart(pod.name) }
            for pod in pods { arrive(pod) }
            if !knowsPods {
                knowsPods = true
                lookAtAll()
            }
        case .changed(let pod): arrive(pod)
        case .deleted(let pod):
            tracked[pod.metadata.uid]?.last = pod
            depart(PodName(pod))
        case .disconnected(let error):
            metrics.noteDisconnection("api-server")
            logger.warning("the watch of pods has ended", metadata: ["error": "\(error)", "advice": "\(error.advice)"])
        case .resumed: logger.info("the watch of pods goes on")
        case .unreadable(let reason): logger.warning("a pod was passed over", metadata: ["error": "\(reason)"])
        }
        metrics.pods.set(tracked.values.count { $0.pod != nil })
    }

    private func arrive(_ pod: Pod) {
        let known = tracked[pod.metadata.uid]?.pod
        // The kubelet writes a pod's status often: what does not matter here is no reason to look.
        let isNews = known.map { !$0.isTheSame(as: pod) } ?? true
        var entry = tracked[pod.metadata.uid] ?? Tracked(name: PodName(pod))
        entry.pod = pod
        entry.last = pod
        if known == nil { entry.wasOn = false }
        if isNews { entry.backoff.reset() }
        tracked[pod.metadata.uid] = entry
        if isNews { look(at: pod.metadata.uid) }
    }

    private func depart(_ name: PodName) {
        guard tracked[name.uid] != nil else { return }
        update(name) {
            $0.pod = nil
            $0.applied = nil
            $0.ended = nil
            $0.isBlocked = false
            $0.oddSince = nil
            $0.backoff.reset()
        }
    }
}

// MARK: what the daemon tells

extension Controller {
    func take(_ element: BypassWatch.Element) {
        switch element {
        case .snapshot(let bypasses):
            decided = [:]
            for uid in tracked.keys { tracked[uid]?.bypass = nil }
            for bypass in bypasses { noteOwn(bypass) }
            connect()
        case .change(let event, let bypass):
            note(event, bypass)
        case .disconnected(let error):
            if knowsBypasses { metrics.noteDisconnection("daemon") }
            knowsBypasses = false
            trouble = error.description
            metrics.isConnected.set(0)
            logger.warning("the daemon is not connected", metadata: ["error": "\(error)"])
            lookAtAll()
        case .resumed: connect()
        }
        metrics.bypassed.set(tracked.values.count { $0.bypass != nil })
    }

    private func connect() {
        knowsBypasses = true
        metrics.isConnected.set(1)
        logger.info("the daemon is connected")
        for uid in tracked.keys {
            tracked[uid]?.oddSince = nil
            tracked[uid]?.backoff.reset()
        }
        lookAtAll()
    }

    private func noteOwn(_ bypass: BypassStatus) {
        guard let name = PodName(owner: bypass.owner) else { return }
        tracked[name.uid, default: Tracked(name: name)].take(bypass)
    }

    private func note(_ event: BypassEvent.Name, _ bypass: BypassStatus) {
        decided[bypass.inode] = event == .gone ? nil : bypass.generation
        if event.leavesBypass, let name = PodName(owner: bypass.owner) {
            release(bypass.inode, but: name.uid, generation: bypass.generation)
            noteOwn(bypass)
            return look(at: name.uid)
        }
        // Ended, or somebody else's now.
        let end = event == .expired ? bypass.expiresAt ?? .now : nil
        release(bypass.inode, but: nil, generation: bypass.generation, end: end)
        guard !event.leavesBypass else { return }
        for pod in tracked.values where pod.isBlocked { look(at: pod.name.uid) }
    }

    /// The namespace's bypass is no longer that of any pod but one.
    private func release(_ inode: UInt64, but uid: String?, generation: Int?, end: Timestamp? = nil) {
        for pod in tracked.values where pod.bypass?.inode == inode && pod.name.uid != uid {
            update(pod.name) {
                $0.noteEnd(generation: generation)
                if $0.bypass == nil, let end { $0.ended = end }
            }
        }
    }
}

extension PodName {
    init(_ pod: Pod) {
        self.init(namespace: pod.metadata.namespace, name: pod.metadata.name, uid: pod.metadata.uid)
    }
}

extension PodName: CustomStringConvertible {
    var description: String { "\(namespace)/\(name)" }
}

extension Pod {
    /// Whether nothing has changed that a decision is made on.
    fileprivate func isTheSame(as other: Pod) -> Bool {
        Verdict(of: self) == Verdict(of: other) && addresses == other.addresses
            && metadata.annotations[Names.status] == other.metadata.annotations[Names.status]
    }
}

extension APIError {
    /// What to do about it.
    var advice: String {
        switch code {
        case 401: "its token or certificate is not valid: look at the kubeconfig or the service account"
        case 403: "its account may not do that: `kmesh-bypassctl manifest` prints the roles that it needs"
        default: "trying again"
        }
    }
}
