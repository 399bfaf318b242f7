internal import BypassAPI
internal import Kubernetes
internal import Logging
internal import PodBypass

/// The Events that are still to be written, of each pod in order. They are apart from the statuses: the API server may put an
/// Event off for minutes, and the next status must not wait for it.
actor EventQueue {
    /// What is reported by Events.
    enum Element: Sendable {
        /// A status that was written.
        case status(StatusReporter.StatusUpdate)
        /// The API server's words for a status that it has refused.
        case denial(PodReference, String)

        fileprivate var pod: PodReference {
            switch self {
            case .status(let update): update.pod
            case .denial(let pod, _): pod
            }
        }
    }

    private let recorder: EventRecorder
    private let peerAuthentication: PeerAuthenticationChecker
    private let logger: Logger
    /// By the pod's UID.
    private var pending: [String: [Element]] = [:]
    private var workers: [String: Task<Void, Never>] = [:]

    init(_ client: APIClient, node: String, logger: Logger) {
        recorder = EventRecorder(client, node: node)
        peerAuthentication = PeerAuthenticationChecker(client)
        self.logger = logger
    }

    /// Adds what comes after everything that was added for the pod before.
    func add(_ element: Element) {
        let pod = element.pod
        // More than the recorder lets a pod have at once.
        guard pending[pod.uid, default: []].count < EventRecorder.burst else {
            logger.info("too many Events of a pod wait: one is dropped", metadata: ["pod": "\(pod)"])
            return
        }
        pending[pod.uid, default: []].append(element)
        guard workers[pod.uid] == nil else { return }
        workers[pod.uid] = Task { await self.runWorker(pod.uid) }
    }

    /// Cancels what is still pending.
    func stop() async {
        pending = [:]
        let workers = Array(workers.values)
        for worker in workers { worker.cancel() }
        for worker in workers { await worker.value }
    }

    private func runWorker(_ uid: String) async {
        while let next = pending[uid]?.first, !Task.isCancelled {
            pending[uid]?.removeFirst()
            switch next {
            case .status(let update): await record(update)
            case .denial(let pod, let reason): await record(Self.event(reason), about: pod)
            }
        }
        (pending[uid], workers[uid]) = (nil, nil)
    }

    private func record(_ update: StatusReporter.StatusUpdate) async {
        guard let event = update.condition.event(of: update.spec) else { return }
        await record(event, about: update.pod)
        guard case .on = update.condition, let pod = update.object,
            let warning = await peerAuthentication.warning(
                for: pod, inbound: update.spec.direction != .outbound, outbound: update.spec.direction != .inbound)
        else { return }
        await record(.init(reason: warning.reason, isWarning: true, message: warning.message), about: update.pod)
    }

    private static func event(_ denial: String) -> BypassCondition.Event {
        BypassCondition.Event(
            reason: "BypassStatusFailed", isWarning: true,
            message: "The API server does not accept this pod's bypass status, and it is tried again: \(denial)")
    }

    /// Events are best effort: one that cannot be written is logged and dropped.
    private func record(_ event: BypassCondition.Event, about pod: PodReference) async {
        do throws(APIError) {
            try await recorder.record(event, about: pod)
        } catch {
            logger.info("an Event cannot be written", metadata: ["pod": "\(pod)", "error": "\(error)"])
        }
    }
}
