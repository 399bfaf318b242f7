internal import ArgumentParser
internal import BypassAPI
internal import Console
internal import Kubernetes
internal import PodBypass

/// One change of several pods: each by itself, and a failure does not stop the others.
struct ChangeRun {
    let change: PodChange
    /// Of the wait for what comes of it; nil without one.
    let timeout: Duration?
    let isJSON: Bool

    private var isOn: Bool { if case .on = change.goal { true } else { false } }

    /// - Parameter failures: why there are no pods of some targets.
    /// - Throws: the worst exit code, unless it is 0.
    func run(_ pods: [Pod], _ failures: [Failure]) async throws {
        let results = ResultPrinter(isJSON: isJSON)
        for failure in failures { results.print(failure) }
        var changed: [StatusWait.Pending] = []
        for pod in pods {
            let after: Pod?
            do throws(Failure) {
                after = try await change.apply(to: pod)
            } catch {
                try results.add(PodResult(report: PodReport(pod), outcome: .failed, words: error.message))
                continue
            }
            guard let after else {
                try results.add(PodResult(report: PodReport(pod), outcome: .done, words: "deleted"))
                continue
            }
            changed.append(.init(pod: after, previous: pod.metadata.annotations[Annotations.status]))
        }
        if let timeout {
            let start = ContinuousClock.now
            try await StatusWait(cluster: change.cluster, isOn: isOn, timeout: timeout).run(changed) { left in
                try results.showProgress(left, after: start.duration(to: .now))
            } finished: {
                try results.add($0)
            }
        } else {
            for pod in changed {
                let words = "\(isOn ? "bypass" : "its end") asked for"
                try results.add(PodResult(report: PodReport(pod.pod), outcome: .done, words: words))
            }
        }
        if isOn { results.addWarnings(await warnings(about: changed.map(\.pod))) }
        try results.end()
        if results.worst != .done { throw ExitCode(results.worst.rawValue) }
    }

    /// The effect of mTLS for the pods, by their UIDs.
    private func warnings(about pods: [Pod]) async -> [String: MutualTLSPolicy.Warning] {
        let checker = PeerAuthenticationChecker(change.cluster.client)
        var warnings: [String: MutualTLSPolicy.Warning] = [:]
        for pod in pods {
            guard let spec = try? BypassSpec(annotations: pod.metadata.annotations) else { continue }
            warnings[pod.metadata.uid] = await checker.warning(
                for: pod, inbound: spec.direction != .outbound, outbound: spec.direction != .inbound)
        }
        return warnings
    }
}

/// Prints what has become of each pod as soon as it is known; for programs, all of it at the end.
private final class ResultPrinter {
    private let isJSON: Bool
    /// A line at a terminal that is overwritten.
    private let showsProgress: Bool
    private var results: [PodResult] = []
    private var failures: [Failure] = []

    init(isJSON: Bool) {
        self.isJSON = isJSON
        showsProgress = !isJSON && Console.isOutputTerminal && Console.environment("TERM") != "dumb"
    }

    var worst: Outcome { (results.map(\.outcome) + (failures.isEmpty ? [] : [.failed])).max() ?? .done }

    func print(_ failure: Failure) {
        failures.append(failure)
        Console.printError(failure.message)
    }

    func add(_ result: PodResult) throws {
        var result = result
        if showsProgress { try Console.print("\r" + Self.eraseRest) }
        let text = "\(result.report.fullName): \(result.words)"
        if result.outcome >= .timedOut {
            result.report.error = result.words
            Console.printError(text)
        } else if !isJSON {
            try Console.print(Cell(text).text + "\n")
        }
        results.append(result)
    }

    func addWarnings(_ warnings: [String: MutualTLSPolicy.Warning]) {
        for index in results.indices {
            guard let warning = warnings[results[index].report.uid] else { continue }
            results[index].report.warnings.append(.init(code: warning.reason, message: warning.message))
        }
    }

    func showProgress(_ pods: [StatusWait.Pending], after duration: Duration) throws {
        guard showsProgress, let first = pods.first else { return }
        let others = pods.count > 1 ? " and \(pods.count - 1) more" : ""
        let text = "waiting for \(first.pod.metadata.name)\(others), \(duration.components.seconds)s: \(first.words)"
        try Console.print("\r" + Cell(text).text.fitting((Console.outputWidth ?? 80) - 1) + Self.eraseRest)
    }

    func end() throws {
        if isJSON { return try Console.printJSON(results.map(\.report), failures) }
        let warnings = results.flatMap { result in result.report.warnings.map { ($0, result.report.fullName) } }
        for (warning, names) in grouped(warnings) {
            Console.printError("warning: \(enumeration(of: names)): \(warning.message)")
        }
    }

    private static let eraseRest = "\u{1B}[K"
}
