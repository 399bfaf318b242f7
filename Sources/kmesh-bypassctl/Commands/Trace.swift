internal import ArgumentParser
internal import Bypass
internal import BypassAPI
internal import BypassClient
internal import Console
internal import SignalHandling
internal import StrictJSON

/// `trace NETNS`
struct Trace: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show each new connection of a network namespace as it is made: where it goes, and by which rule.",
        discussion: """
            One line for each connection: time, direction, protocol, addresses, where it ends, and the rule that decides. It \
            ends after a time or a number of connections, or when it is interrupted. Of many connections some are left out, \
            and their number is shown. It adds a table to the namespace, which is removed at the end.

            EXAMPLES
              kmesh-bypassctl trace web
              kmesh-bypassctl trace default/web-0 --for 5m --count 20
            """)

    @OptionGroup var namespace: NamespaceArgument

    @Option(
        name: .customLong("for"),
        help: .init(
            "End after this time: 90, 90s or 5m, at most 10m (default: \(TraceMethod.usualSeconds)s).",
            valueName: "time"),
        transform: TimeToLive.parse)
    var duration: TimeToLive?

    @Option(help: "End after so many connections (default: \(TraceMethod.usualCount)).")
    var count: Int?

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if let duration, duration.seconds > TraceMethod.maxSeconds {
            throw ValidationError("--for: must be \(TimeToLive.text(seconds: TraceMethod.maxSeconds)) or less")
        }
        if let count, !(1...TraceMethod.maxCount).contains(count) {
            throw ValidationError("--count: must be 1 to \(TraceMethod.maxCount)")
        }
    }

    mutating func run() async throws {
        try await reportingFailures(asJSON: common.json, naming: namespace.netns) {
            try await namespace.resolve()
            do {
                try await Interruption.cancelling { [self] in try await trace() }
            } catch is Interruption {
                // The daemon ends the trace with the connection.
            }
        }
    }

    private func trace() async throws {
        let trace = ConnectionTrace(
            netns: namespace.netns, seconds: duration?.seconds, count: count, path: common.path)
        for try await element in trace {
            switch element {
            case .started(let result):
                if common.json {
                    try Console.print(JSONEncoding.text(of: Line(event: "started", params: result)) + "\n")
                    continue
                }
                try Console.print(traceHeading(result, .ofStandardOutput))
                for warning in result.warnings { try Console.print(Style.ofStandardOutput.warning(warning)) }
            case .event(let event, let json):
                try Console.print(
                    common.json
                        ? JSONEncoding.text(of: Line(event: event.name.rawValue, params: json)) + "\n"
                        : traceLine(event, .ofStandardOutput))
                if case .ended(let end) = event, end.reason == .failed { throw ExitCode(ExitStatus.failed.rawValue) }
            }
        }
    }

    private struct Line<Params: Encodable>: Encodable {
        let event: String
        let params: Params
    }
}
