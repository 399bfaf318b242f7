internal import Kubernetes
internal import PodBypass

/// A pod's report about the requested change.
enum PodAnswer: Hashable, Sendable {
    /// Not yet; what is known.
    case pending(String)
    case done(Outcome, String)

    /// - Parameters:
    ///   - isOn: whether a bypass was asked for, or its end.
    ///   - pod: as it is now; nil if it is gone.
    ///   - previous: its status before the change.
    init(isOn: Bool, _ pod: Pod?, previous: String?) {
        guard let pod, pod.metadata.deletionTimestamp == nil else {
            self = isOn ? .done(.failed, "it was deleted meanwhile") : .done(.done, "deleted")
            return
        }
        if isOn, pod.hasEnded {
            self = .done(.failed, "it has ended meanwhile (\(pod.status?.phase ?? ""))")
            return
        }
        let report = PodReport(pod)
        self = isOn ? Self.on(report) : Self.off(report, previous: previous)
    }

    private static func on(_ pod: PodReport) -> PodAnswer {
        guard let reported = pod.reported else {
            if !pod.isAsked { return .done(.failed, "another user has removed the label") }
            return .pending(pod.node == nil ? "it is on no node yet" : "no controller has reported on it")
        }
        switch reported.state {
        case .on, .contested, .nothingToBypass: return .done(.done, pod.words)
        case .notEffective, .partlyEffective: return .done(.notEffective, pod.words)
        case .waiting: return .pending(pod.words)
        case .unchanged, .refused, .failed, .expired, .offNotEffective, .unknown: return .done(.failed, pod.words)
        }
    }

    private static func off(_ pod: PodReport, previous: String?) -> PodAnswer {
        if pod.isAsked { return .done(.failed, "another user has set the label again") }
        switch pod.reported?.state {
        case nil, .expired: return .done(.done, pod.words)
        case .offNotEffective: return .done(.notEffective, pod.words)
        case .failed where pod.status != previous, .unchanged where pod.status != previous:
            return .done(.failed, pod.words)
        default:
            return .pending("its status is still \"\(pod.words)\"")
        }
    }
}

/// The result of a command for one pod.
struct PodResult {
    var report: PodReport
    var outcome: Outcome
    var words: String
}

/// Reads pods again until each has an answer.
struct StatusWait {
    let cluster: Cluster
    let isOn: Bool
    let timeout: Duration

    /// A pod that was changed.
    struct Pending {
        var pod: Pod
        var previous: String?
        /// The state so far, in case no more follows.
        var words = ""
        /// Since when the server says that this user may not read it.
        var forbiddenSince: ContinuousClock.Instant?
    }

    /// A read of one pod is cheap, and needs no more permission than any other command: a watch would.
    private static let longestPause = Duration.seconds(1)

    /// - Parameters:
    ///   - progress: is called before each pause, with the pods that have no answer.
    ///   - finished: is called for each pod once.
    func run(
        _ pods: [Pending], progress: ([Pending]) throws -> Void, finished: (PodResult) throws -> Void
    ) async throws {
        var pods = pods
        let deadline = ContinuousClock.now + timeout
        var pause = Duration.milliseconds(50)
        while true {
            var left: [Pending] = []
            for pod in pods {
                var pod = pod
                switch await look(&pod, within: ContinuousClock.now.duration(to: deadline)) {
                case .pending(let words):
                    pod.words = words
                    left.append(pod)
                case .done(let outcome, let words):
                    try finished(PodResult(report: PodReport(pod.pod), outcome: outcome, words: words))
                }
            }
            pods = left
            let rest = ContinuousClock.now.duration(to: deadline)
            if pods.isEmpty || rest <= .zero { break }
            try progress(pods)
            try await Task.sleep(for: min(pause, rest))
            pause = min(pause * 2, Self.longestPause)
        }
        for pod in pods {
            let report = PodReport(pod.pod)
            // On a node with a controller, there is a report within seconds.
            let isSilent = isOn ? report.status == nil : report.status == pod.previous
            let hint = isSilent ? report.node.map { ": does kmesh-bypass-controller run on node \($0)?" } : nil
            let words = "no result within \(timeout.components.seconds)s: \(pod.words)\(hint ?? "")"
            try finished(PodResult(report: report, outcome: .timedOut, words: words))
        }
    }

    /// A server that starts says so to everyone, until it has loaded its roles.
    private static let startTime = Duration.seconds(10)
    /// The last look has a moment, too, at the end of the time.
    private static let shortestLook = Duration.seconds(1)

    private func look(_ pending: inout Pending, within limit: Duration) async -> PodAnswer {
        let known = pending.pod.metadata
        do throws(APIError) {
            let pod = try await withTimeout(max(limit, Self.shortestLook)) { () async throws(APIError) in
                try await cluster.pod(known.name, in: known.namespace)
            }
            pending.forbiddenSince = nil
            let isSame = pod.metadata.uid == known.uid
            if isSame { pending.pod = pod }
            return PodAnswer(isOn: isOn, isSame ? pod : nil, previous: pending.previous)
        } catch {
            switch error.code {
            case 404: return PodAnswer(isOn: isOn, nil, previous: pending.previous)
            case 401: return .done(.failed, Refusal(error, .get, in: known.namespace).message)
            case 403:
                let since = pending.forbiddenSince ?? .now
                pending.forbiddenSince = since
                let words = Refusal(error, .get, in: known.namespace).message
                return since.duration(to: .now) < Self.startTime ? .pending(words) : .done(.failed, words)
            // It may be back in a moment.
            default: return .pending(error.description)
            }
        }
    }
}
