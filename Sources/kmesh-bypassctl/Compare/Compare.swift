internal import ArgumentParser
internal import Bypass
internal import BypassAPI
internal import Console
internal import Linux
internal import SignalHandling
internal import StrictJSON

/// `compare NETNS --to ADDRESS:PORT`
struct Compare: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compare the same request through the sidecar and past it.",
        discussion: """
            Answers whether it is the mesh: two processes in the network namespace send the same request by turns, one of \
            them past the sidecar as 'exec' does it. No other traffic is affected. Each request has a connection of its own. \
            Without --http only the time until the connection is established is compared, which through a sidecar is \
            that to the sidecar itself: --http waits for the answer, without TLS. A failure is a request without an answer within 5 \
            seconds, or with a status of 500 or more. The interval is the sign test's: it assumes nothing about how the times \
            are distributed. After two minutes, and after Ctrl-C, it ends with what it has.

            This needs what 'exec' needs, and a sidecar that new connections of the namespace pass.

            EXAMPLES
              sudo kmesh-bypassctl compare web --to 192.0.2.1:80 --http /healthz
              sudo kmesh-bypassctl compare default/web-0 --to 10.96.0.20:9080 --http / --host reviews --count 500
            """)

    @OptionGroup var namespace: NamespaceArgument
    @OptionGroup var request: ComparedRequest

    @Option(help: "Requests on each side, 1 to 10000.")
    var count = 200

    @OptionGroup var attribution: Attribution
    @OptionGroup var common: CommonOptions

    /// The first requests fill caches, and make the sidecar connect to where it will send the others.
    private static let warmUp = 2
    private static let maxTime = Interval.seconds(120)

    func validate() throws {
        guard (1...10_000).contains(count) else { throw ValidationError("--count: must be 1 to 10000") }
    }

    mutating func run() async throws {
        try await reportingFailures(asJSON: common.json, naming: namespace.netns) {
            try await namespace.resolve()
            attribution.setDefaultOwner()
            do {
                try await Interruption.cancelling { [self] in try await compare() }
            } catch is Interruption {
                throw ExitCode(ExitStatus.interrupted.rawValue)
            }
        }
    }

    private func compare() async throws {
        let group = try PodEntrance.group()
        let (through, past) = (try worker(in: nil), try worker(in: group))
        guard through.inode == past.inode else {
            throw CommandFailure(
                "\(namespace.netns.printable) has become another namespace", .failed, kind: "netns-mismatch")
        }
        let bypass = CommandBypass(
            namespace.netns, past.inode, group: group.number, scope: .all, owner: attribution.owner,
            reason: attribution.reason ?? "compare", needsSidecar: true, at: common.path)
        let count = count
        let comparison = try await PodEntrance.translatingFailures(of: "the worker", in: namespace.netns) {
            try await bypass.during {
                try await through.whileRunning {
                    try await past.whileRunning { try await Self.measure(through, past, count) }
                }
            } cleanUp: {
                try group.remove()
            }
        }
        if common.json {
            let report = ComparisonReport(comparison, netns: namespace.netns, to: request.to, http: request.http)
            try Console.print(try JSONEncoding.text(of: report) + "\n")
        } else {
            try Console.print(comparison.text(.ofStandardOutput))
        }
    }

    private func worker(in group: CommandCgroup?) throws -> Worker {
        try Worker(
            ["/proc/self/exe", "compare-worker"] + request.options, try PodEntrance.open(namespace.netns), group)
    }

    /// By turns, and first on each side by turns, so that what one request leaves behind is not always the other's.
    private static func measure(_ through: Worker, _ past: Worker, _ count: Int) async throws -> Comparison {
        var pairs: [Comparison.Pair] = []
        let end = Instant.now + maxTime
        for number in 0..<count + warmUp {
            let isFirst = number % 2 == 0
            let first = try await (isFirst ? through : past).request()
            let second = try await (isFirst ? past : through).request()
            if number >= warmUp {
                pairs.append(isFirst ? .init(through: first, past: second) : .init(through: second, past: first))
            }
            if (Instant.now >= end || Task.isCancelled) && !pairs.isEmpty { break }
            try Task.checkCancellation()
        }
        return Comparison(pairs)
    }
}

/// A process in the namespace that makes requests.
private final class Worker: Sendable {
    let inode: UInt64
    private let command: CommandInNamespace
    private let channel: LineChannel

    init(_ words: [String], _ namespace: consuming NetworkNamespace, _ group: CommandCgroup?) throws {
        inode = namespace.inode
        let (channel, other) = try LineChannel.make()
        self.channel = channel
        command = CommandInNamespace(words, in: namespace, group: group, channel: other)
    }

    /// Starts it for the time of `body`.
    func whileRunning<Result: Sendable>(_ body: @escaping @Sendable () async throws -> Result) async throws -> Result {
        let process = Task {
            // An exchange does not wait longer than the process runs.
            defer { channel.close() }
            return try await command.run()
        }
        let result: Swift.Result<Result, any Error>
        do {
            result = .success(try await body())
        } catch {
            result = .failure(error)
        }
        channel.close()
        // Why it was not there to answer says more.
        _ = try await process.value
        return try result.get()
    }

    func request() async throws -> RequestOutcome {
        guard let answer = try await channel.exchange("request"), let outcome = RequestOutcome(line: answer) else {
            throw CommandFailure("the process that makes the requests has ended", .failed, kind: "failed")
        }
        return outcome
    }
}
