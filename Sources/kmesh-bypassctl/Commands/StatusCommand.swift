internal import ArgumentParser
internal import BypassAPI
internal import BypassClient
internal import Console

/// `status [NETNS]`
struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show whether a network namespace is bypassed, and whether the bypass is effective.",
        discussion: """
            Shows the kernel's current state. 'degraded' means that the bypass is on, but a rule is missing or no longer \
            first: the warnings say which. Without NETNS: the daemon, how many namespaces are bypassed, and which of them \
            need attention. The exit code is 2 if a bypass is on, and some or all connections still go to the sidecar.

            EXAMPLES
              kmesh-bypassctl status
              kmesh-bypassctl status web --rules
            """)

    @Argument(
        help: .init(
            "The network namespace: web, /run/netns/web, pid:4711, pod:UID, container:ID, NAMESPACE/POD or host.",
            valueName: "netns"),
        completion: .namespaces)
    var netns: String?

    @Flag(help: "Show the daemon's rules, with their counters.")
    var rules = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if rules && netns == nil { throw ValidationError("--rules needs a namespace: status NETNS --rules") }
    }

    func run() async throws {
        guard let netns else { return try await summarize() }
        try await reportingFailures(asJSON: common.json, naming: netns) {
            let parameters = StatusMethod.Parameters(netns: try await PodName.resolving(netns))
            try await call(StatusMethod.self, with: parameters, common) { bypass, style in
                describe(bypass, changed: nil, withRules: rules, style)
            } failure: { bypass in
                ExitStatus(bypass)
            }
        }
    }

    private func summarize() async throws {
        try await reportingFailures(asJSON: common.json) {
            let client = try await BypassClient.connect(to: common.path)
            let info = try await client.answer(InfoMethod.self, with: .init())
            let list = try await client.answer(ListMethod.self, with: .init())
            try Console.print(
                common.json
                    ? "{\"info\":\(info.json),\"list\":\(list.json)}\n"
                    : summary(of: info.result, list.result, .ofStandardOutput))
            if let failure = list.result.bypasses.lazy.compactMap({ ExitStatus($0) }).first {
                throw ExitCode(failure.rawValue)
            }
        }
    }
}
