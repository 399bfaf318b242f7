internal import BypassAPI
internal import Kubernetes
internal import Logging
internal import StrictJSON

/// Tells people, on the pod, how it stands: an annotation, Events, and the label taken off when a bypass has ended by
/// itself. The API server may be slow or away: of each pod what was to be told last is told as soon as can be.
actor Teller {
    /// What is to be told of one pod.
    struct News: Sendable {
        var pod: PodName
        var state: PodState
        var direction = Direction.both
        /// The pod as it was seen last, for what else may be worth telling.
        var object: Pod?
    }

    private let client: APIClient
    private let events: EventRecorder
    private let mutualTLS: MutualTLS
    private let logger: Logger
    private let gate = Gate(4)
    private var waiting: [String: News] = [:]
    private var workers: [String: Task<Void, Never>] = [:]
    /// What each pod's annotation says, as far as this process has written it; many may be forgotten.
    private var told: [String: String?] = [:]

    init(_ client: APIClient, node: String, logger: Logger) {
        self.client = client
        self.logger = logger
        events = EventRecorder(client, node: node)
        mutualTLS = MutualTLS(client)
    }

    /// Tells news, unless the pod says so already.
    ///
    /// - Parameter annotation: what the pod's annotation says, as far as the caller knows.
    func tell(_ news: News, unless annotation: String?) {
        let uid = news.pod.uid
        if waiting[uid] == nil, workers[uid] == nil, !news.state.isNews(where: told[uid] ?? annotation) {
            if news.state.text == nil { told[uid] = nil }
            return
        }
        waiting[uid] = news
        guard workers[uid] == nil else { return }
        workers[uid] = Task { await self.work(uid) }
    }

    /// Ends, whatever is not told yet.
    func stop() async {
        waiting = [:]
        let workers = Array(workers.values)
        for worker in workers { worker.cancel() }
        for worker in workers { await worker.value }
    }

    private func work(_ uid: String) async {
        var backoff = Backoff()
        while let news = waiting.removeValue(forKey: uid), !Task.isCancelled {
            if let known = told[uid], !news.state.isNews(where: known) { continue }
            do throws(APIError) {
                try await gate.run { () throws(APIError) in try await write(news) }
                backoff.reset()
                if told.count >= 4096 { told = [:] }
                if news.state.text == nil { told[uid] = nil } else { told[uid] = .some(news.state.text) }
            } catch {
                if error == .cancelled { break }
                logger.warning(
                    "a pod could not be told", metadata: ["pod": "\(news.pod)", "error": "\(error)"])
                // A refusal that will be the same next time.
                if [400, 403].contains(error.code ?? 0) { continue }
                if waiting[uid] == nil { waiting[uid] = news }
                try? await Task.sleep(for: backoff.next())
            }
        }
        workers[uid] = nil
    }

    private func write(_ news: News) async throws(APIError) {
        guard try await annotate(news) else { return }
        guard let event = news.state.event(direction: news.direction) else { return }
        await tell(event, about: news.pod)
        guard case .on = news.state, let pod = news.object, Sidecar(in: pod) == .istio,
            let rule = await mutualTLS.strictRule(for: pod)
        else { return }
        await tell(
            PodState.Event(
                reason: "BypassStrictMTLS", isWarning: true,
                message:
                    "PeerAuthentication \(rule.metadata.namespace)/\(rule.metadata.name) has mTLS STRICT in force here: "
                    + "the bypassed pod speaks plaintext, which peers under it refuse, and cannot read the mTLS of those "
                    + "that call it."), about: news.pod)
    }

    /// An Event that cannot be written is no reason to do anything again.
    private func tell(_ event: PodState.Event, about pod: PodName) async {
        do throws(APIError) {
            try await events.tell(event, about: pod)
        } catch {
            logger.info("an Event could not be written", metadata: ["pod": "\(pod)", "error": "\(error)"])
        }
    }

    /// - Returns: false if the pod has gone, or another one has its name.
    private func annotate(_ news: News) async throws(APIError) -> Bool {
        var metadata: JSONValue = [
            // Immutable: the API server refuses where the UID is another one.
            "uid": .string(news.pod.uid),
            "annotations": [Names.status: news.state.text.map { .string($0) } ?? .null],
        ]
        if case .expired = news.state {
            metadata = [
                "uid": .string(news.pod.uid), "labels": [Names.label: .null],
                "annotations": [Names.status: news.state.text.map { .string($0) } ?? .null],
            ]
        }
        do throws(APIError) {
            _ = try await client.patch(
                "/api/v1/namespaces/\(news.pod.namespace)/pods/\(news.pod.name)", with: ["metadata": metadata])
            return true
        } catch {
            if error.isOfAnotherObject { return false }
            throw error
        }
    }
}

extension APIError {
    /// Whether a patch that names a UID was refused since that object has gone, be it that another one has its name. The API
    /// server calls a UID that does not fit invalid (422); what calls it a conflict says so. Other conflicts pass.
    fileprivate var isOfAnotherObject: Bool {
        guard case .refused(let status) = self else { return false }
        return [404, 422].contains(status.code) || status.code == 409 && status.message.lowercased().contains("uid")
    }
}
