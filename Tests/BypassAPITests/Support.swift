import BypassAPI
import StrictJSON

/// The JSON of a value.
func json(_ value: some Encodable) throws -> JSONValue {
    try JSONReader.read(try JSONEncoding.bytes(of: value))
}

/// The value of a JSON text.
func parse(_ text: String) throws -> JSONValue {
    try JSONReader.read(text)
}

/// The members' names, in their order.
func keys(_ value: JSONValue?) -> [String]? {
    value?.object?.members.map(\.key)
}

/// The repository's folder.
let repository = String(#filePath.dropLast("/Tests/BypassAPITests/Support.swift".count))

enum Sample {
    static let moment = Timestamp(secondsSince1970: 1_795_475_527)  // 2026-11-23T23:12:07Z

    /// The contract's example.
    static let status = BypassStatus(
        netns: "web", inode: 4_026_532_281, state: .on, effective: true, effect: .nothingToBypass,
        direction: .both, since: moment,
        setBy: .init(uid: 1000, gid: 1000, pid: 4711), generation: 17,
        rules: [.init(family: "ip", table: "nat", chain: "OUTPUT", handle: 7, packets: 0, bytes: 0)],
        warnings: [.init(code: "no-interception", message: "...")])

    static let statusOff = BypassStatus(
        netns: "web", inode: 1, state: .off, effective: false, effect: .ineffective, generation: 18)

    static let statusInScope: BypassStatus = {
        var scoped = status
        (scoped.only, scoped.except, scoped.cgroup) = (scope.only, scope.except, 4711)
        return scoped
    }()

    static let scope = Scope(
        only: try? ConnectionSet(
            ports: [PortRange(8080), PortRange("9000-9100")],
            networks: [IPNetwork("10.0.0.0/8"), IPNetwork("fd00::/8")]),
        except: try? ConnectionSet(ports: [PortRange(9050)]))

    static let explained = ExplainMethod.Result(
        netns: "web", inode: 4_026_532_281,
        probes: [
            .init(
                direction: .outbound, family: "ip", protocol: .tcp, to: "192.0.2.1:80", from: nil, source: .rules,
                steps: [
                    .init(
                        hook: "output", priority: -100, family: "ip", table: "nat", chain: "ISTIO_REDIRECT",
                        rule: "rule 1, handle 7", verdict: "redirect to :15001", decides: true)
                ], ends: .init(at: .sidecar, port: 15001))
        ],
        warnings: [.init(code: "unreadable", message: "...")])

    typealias Call = (
        method: any RPCMethod.Type, parameters: any Encodable & Sendable,
        results: [any Codable & JSONWritable & Sendable]
    )

    /// Every method with parameters and results that leave nothing out, and some that leave out all they can.
    static let calls: [Call] = [
        (
            BypassMethod.self,
            BypassMethod.Parameters(
                netns: "web", state: .on, direction: .inbound, ttl: 60, owner: "kubernetes:default/web-0",
                reason: "test", ifGeneration: 17, ifOwner: "me", expectAddresses: ["10.0.0.1"],
                only: scope.only, except: scope.except, connections: .reset, foreign: true,
                cgroup: 4711),
            [
                BypassMethod.Result(status: status, changed: true, removed: ["ip nat OUTPUT: -A OUTPUT -j RETURN"]),
                BypassMethod.Result(status: statusOff, changed: false),
            ]
        ),
        (
            ExtendMethod.self, ExtendMethod.Parameters(netns: "web", ttl: 60, ifGeneration: 17),
            [BypassMethod.Result(status: status, changed: true)]
        ),
        (StatusMethod.self, StatusMethod.Parameters(netns: "web"), [status, statusInScope, statusOff]),
        (
            ExplainMethod.self,
            ExplainMethod.Parameters(netns: "web", to: "192.0.2.1:80", from: "10.0.0.1", protocol: .tcp, uid: 1000),
            [
                explained,
                ExplainMethod.Result(netns: "web", inode: 1, probes: [], warnings: []),
            ]
        ),
        (
            TraceMethod.self, TraceMethod.Parameters(netns: "web", seconds: 10, count: 5),
            [
                TraceMethod.Result(
                    netns: "web", inode: 4_026_532_281, seconds: 10, count: 5,
                    warnings: [.init(code: "untraced", message: "...")])
            ]
        ),
        (
            ListMethod.self, NoParameters(),
            [ListMethod.Result(bypasses: [status, statusOff]), ListMethod.Result(bypasses: [])]
        ),
        (
            SubscribeMethod.self, SubscribeMethod.Parameters(stream: "k3", sequence: 12),
            [
                SubscribeMethod.Result(stream: "k3", sequence: 12, bypasses: [status]),
                SubscribeMethod.Result(stream: "k3", sequence: 12, bypasses: nil),
            ]
        ),
        (
            ClearMethod.self, ClearMethod.Parameters(owner: "kubernetes:default/web-0"),
            [
                ClearMethod.Result(
                    cleared: [.init(netns: "web", inode: 1)],
                    failed: [.init(netns: "db", inode: 2, message: "...")]),
                ClearMethod.Result(cleared: [], failed: []),
            ]
        ),
        (MetricsMethod.self, NoParameters(), [MetricsMethod.Result(text: "# TYPE a counter\na 1\n")]),
        (
            InfoMethod.self, NoParameters(),
            [
                InfoMethod.Result(
                    kernel: "6.18.0", uptimeSeconds: 1, bypassed: 2,
                    matcher: .init(pin: "/sys/fs/bpf/bypass", tag: "0123456789abcdef"))
            ]
        ),
        (DiscoverMethod.self, NoParameters(), [OpenRPCDocument()]),
    ]
}
