internal import ArgumentParser
internal import Bypass
internal import Console
internal import Kubernetes
internal import PodBypass

/// One change of several pods: each by itself, and a failure does not stop the others.
struct ChangeRun {
    let change: PodChange
    /// nil without waiting.
    let timeout: Duration?
    let isJSON: Bool

    private var isOn: Bool { if case .on = change.goal { true } else { false } }

    /// - Throws: the worst exit code, unless it is 0.
    func run(_ pods: [Pod]) async throws {
        var results: [PodResult] = []
        let line = ProgressLine(isShown: !isJSON)
        func finish(_ result: PodResult) throws {
            results.append(result)
            try line.clear()
            if result.outcome >= .timedOut {
                Console.printError("\(result.report.fullName): \(result.words)")
            } else if !isJSON {
                try Console.print("\(result.report.fullName): \(result.words)".printable + "\n")
            }
        }
        var pending: [StatusWait.Pending] = []
        for pod in pods {
            let changed: Pod
            do throws(Failure) {
                changed = try await change.apply(to: pod)
            } catch {
                try finish(PodResult(report: PodReport(pod), outcome: .failed, words: error.message))
                continue
            }
            if timeout == nil {
                let words = "\(isOn ? "bypass" : "its end") asked for"
                try finish(PodResult(report: PodReport(changed), outcome: .done, words: words))
            } else {
                pending.append(.init(pod: changed, previous: pod.metadata.annotations[Annotations.status]))
            }
        }
        if let timeout {
            let wait = StatusWait(cluster: change.cluster, isOn: isOn, timeout: timeout)
            let start = ContinuousClock.now
            try await wait.run(pending) { left in
                try line.show(left, after: start.duration(to: .now))
            } finished: {
                try finish($0)
            }
        }
        if isJSON { try Console.printJSON(results.map(\.reportWithError)) }
        if let worst = results.map(\.outcome).max(), worst != .done { throw ExitCode(worst.rawValue) }
    }
}

extension PodResult {
    fileprivate var reportWithError: PodReport {
        var report = report
        if outcome >= .timedOut { report.error = words }
        return report
    }
}

/// A line at a terminal that is overwritten while a command waits.
private struct ProgressLine {
    let isShown: Bool

    init(isShown: Bool) {
        self.isShown = isShown && Console.isOutputTerminal && Console.environment("TERM") != "dumb"
    }

    func show(_ pods: [StatusWait.Pending], after duration: Duration) throws {
        guard isShown, let first = pods.first else { return }
        let others = pods.count > 1 ? " and \(pods.count - 1) more" : ""
        let text = "waiting for \(first.pod.metadata.name)\(others), \(duration.components.seconds)s: \(first.words)"
        try Console.print("\r" + text.printable.fitting((Console.outputWidth ?? 80) - 1) + Self.eraseRest)
    }

    func clear() throws {
        if isShown { try Console.print("\r" + Self.eraseRest) }
    }

    private static let eraseRest = "\u{1B}[K"
}
