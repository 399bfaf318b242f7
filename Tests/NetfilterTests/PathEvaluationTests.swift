import Linux
import Testing

@testable import Netfilter

/// Where packets go by rules that are made by hand.
@Suite struct PathEvaluationTests {
    private static let context = PacketContext(
        addresses: [[10, 0, 0, 1]], interfaces: [.init(name: "eth0", index: 2), .init(name: "net1", index: 3)],
        matcher: ("/pin", false))
    private static let outbound = Packet(
        transport: 6, from: [10, 0, 0, 1], to: [192, 0, 2, 1], port: 80, owner: .init(uid: 0, gid: 0))

    private static func nat(
        _ rules: [[RulePart]], _ chains: [String: [[RulePart]]] = [:], sets: [String: FilterSet?] = [:]
    ) -> FilterTable {
        var table = FilterTable(family: .ip, name: "nat", backend: .nftables)
        table.chains["OUTPUT"] = FilterChain(base: BaseChain(type: "nat", hook: .output, priority: -100))
        for (name, rules) in chains.merging(["OUTPUT": rules], uniquingKeysWith: { first, _ in first }) {
            table.chains[name, default: FilterChain()].rules = rules.enumerated().map {
                FilterRule(handle: UInt64($0.offset + 1), parts: $0.element)
            }
        }
        table.sets = sets
        return table
    }

    private static func path(_ tables: FilterTable..., context: PacketContext = context) -> PacketPath {
        PathEvaluation(tables, context, isComplete: true).path(of: outbound, from: .local)
    }

    private static let redirect: [RulePart] = [.loadConstant([0x3a, 0x99], into: 0), .redirect(port: 0)]
    private static let isTCP: [RulePart] = [.loadMeta(16, into: 0), .compare(0, .equal, [6])]

    @Test("The first rule that matches decides, over jumps and back")
    func jumps() {
        let path = Self.path(
            Self.nat(
                [Self.isTCP + [.verdict(.jump("a"))], Self.redirect],
                [
                    "a": [
                        [.loadMeta(16, into: 0), .compare(0, .notEqual, [6]), .verdict(.accept)],
                        [.verdict(.goto("b"))],
                    ],
                    "b": [[.verdict(.returnToCaller)]],
                ]))
        #expect(path.end == .sidecar(port: 15001))
        #expect(path.steps.map(\.verdict) == ["jump a", "goto b", "return", "redirect to :15001"])
        #expect(path.steps.map(\.decides) == [false, false, false, true])
        #expect(path.steps.last?.rule?.number == 2 && path.steps.last?.rule?.handle == 2)
    }

    @Test("What is not known is followed both ways, and only what differs is unknown")
    func open() {
        let open: [RulePart] = [.openCondition]
        #expect(Self.path(Self.nat([open + Self.redirect])).end == .unknown)
        #expect(Self.path(Self.nat([open + Self.redirect, Self.redirect])).end == .sidecar(port: 15001))
        #expect(Self.path(Self.nat([open + [.verdict(.accept)]])).end == .application(port: 80))
        // Seven rules leave more ways open than are followed.
        let many = Array(repeating: open + [.verdict(.accept)], count: 7)
        #expect(Self.path(Self.nat(many)).end == .application(port: 80))
        let forks = Array(repeating: open + [.verdict(.jump("a"))], count: 7)
        #expect(Self.path(Self.nat(forks, ["a": []])).end == .unknown)
        #expect(Self.path(Self.nat([[.unknown("new")]])).end == .unknown)
        let path = Self.path(Self.nat([open + Self.redirect]))
        #expect(path.steps.first?.verdict.hasSuffix("not known") == true && path.steps.first?.decides == true)
    }

    @Test("Chains that jump to each other, and rules without number, end", .timeLimit(.minutes(1)))
    func bounded() {
        #expect(Self.path(Self.nat([[.verdict(.jump("OUTPUT"))]])).end == .unknown)
        #expect(Self.path(Self.nat([[.verdict(.goto("OUTPUT"))]])).end == .unknown)
        #expect(Self.path(Self.nat([[.verdict(.jump("none"))]])).end == .unknown)
        let long = Self.path(Self.nat(Array(repeating: [.nothing], count: 1000) + [Self.redirect]))
        #expect(long.end == .sidecar(port: 15001) && long.steps.count == 64 && long.further == 937)
    }

    @Test("Of several interfaces only what holds for all is known")
    func interfaces() {
        func end(_ name: String, _ comparison: RulePart.Comparison) -> PacketPath.End {
            Self.path(Self.nat([[.loadMeta(7, into: 0), .compare(0, comparison, Array(name.utf8))] + Self.redirect]))
                .end
        }
        #expect(end("lo\0\0\0\0\0\0\0\0\0\0\0\0\0\0", .equal) == .application(port: 80))
        #expect(end("lo\0\0\0\0\0\0\0\0\0\0\0\0\0\0", .notEqual) == .sidecar(port: 15001))
        #expect(end("eth", .equal) == .unknown)
    }

    @Test("Nat to the address that the packet has ends nat, and is not a redirect")
    func ownAddress() {
        var own = Self.nat([
            [.loadHeader(.network, offset: 16, count: 4, into: 0), .destinationNat(address: 0, port: nil)]
        ])
        own.name = "guard"
        own.chains["OUTPUT"]?.base?.priority = -101
        let path = Self.path(Self.nat([Self.redirect]), own)
        #expect(path.end == .application(port: 80) && path.steps.map(\.decides) == [true])
        // Before conntrack nothing is known of the connection; after an exception from it there is no nat.
        var raw = Self.nat([[.exceptFromConntrack]])
        raw.name = "raw"
        raw.chains["OUTPUT"]?.base = BaseChain(type: "filter", hook: .output, priority: -300)
        #expect(Self.path(raw, Self.nat([Self.redirect])).end == .application(port: 80))
    }

    @Test("Which of two chains of one priority is evaluated first matters only if both take the packet")
    func ties() {
        var other = Self.nat([Self.redirect])
        other.name = "other"
        #expect(Self.path(Self.nat([Self.redirect]), other).end == .sidecar(port: 15001))
        #expect(Self.path(Self.nat([[.verdict(.returnToCaller)]]), other).end == .sidecar(port: 15001))
        #expect(Self.path(Self.nat([]), other).steps.count == 2)
        let elsewhere: [RulePart] = [.loadConstant([0, 9], into: 0), .redirect(port: 0)]
        #expect(Self.path(Self.nat([elsewhere]), other).end == .unknown)
    }

    @Test("A drop ends the way, also after a redirect", arguments: [Hook.output, .postrouting, .input])
    func drops(_ hook: Hook) {
        var filter = FilterTable(family: .inet, name: "filter", backend: .nftables)
        filter.chains["drop"] = FilterChain(base: BaseChain(type: "filter", hook: hook, priority: 0))
        filter.chains["drop"]?.accepts = false
        let path = Self.path(Self.nat([Self.redirect]), filter)
        #expect(path.end == .dropped && path.steps.last?.decides == true)
    }

    @Test("A mark may send a packet over the loopback, where TPROXY takes it")
    func mark() {
        var mangle = FilterTable(family: .ip, name: "mangle", backend: .nftables)
        mangle.chains["OUTPUT"] = FilterChain(base: BaseChain(type: "route", hook: .output, priority: -150))
        mangle.chains["OUTPUT"]?.rules = [
            FilterRule(handle: 1, parts: [.target("MARK", revision: 2, [1, 0, 0, 0, 255, 255, 255, 255])])
        ]
        let marked = Self.path(mangle)
        #expect(marked.end == .application(port: 80) && marked.deciding == [])
        #expect(marked.steps.first?.verdict == "mark 0x1")
        mangle.chains["PREROUTING"] = FilterChain(base: BaseChain(type: "filter", hook: .prerouting, priority: -150))
        mangle.chains["PREROUTING"]?.rules = [FilterRule(handle: 2, parts: [.transparentProxy(port: nil)])]
        let open = Self.path(mangle)
        #expect(open.end == .unknown && open.arrival == nil)
        #expect(open.deciding.map(\.verdict) == ["mark 0x1, by which a routing rule may send it to a proxy"])
    }

    @Test("What goes up to a socket of the namespace comes to an address and a port")
    func arrival() {
        let sidecar = PacketPath.Arrival(address: IPAddress("127.0.0.1"), port: 15001)
        #expect(Self.path(Self.nat([Self.redirect])).arrival == sidecar)
        #expect(Self.path(Self.nat([])).arrival == nil)
        // Not known which of two.
        #expect(Self.path(Self.nat([[.openCondition] + Self.redirect])).arrival == nil)
    }

    /// struct xt_connmark_tginfo2: three numbers, the shift, and the mode.
    private static func connectionMark(_ mark: UInt8, mode: UInt8, shift: UInt8 = 0) -> RulePart {
        let all = [UInt8](repeating: 255, count: 8)
        return .target("CONNMARK", revision: 2, [mark, 0, 0, 0] + all + [0, shift, mode, 0])
    }

    private static let markRules: [(String, [RulePart], String, UInt32, PacketPath.End)] = [
        ("its rule", [.target("MARK", revision: 2, [1, 0, 0, 0, 255, 255, 255, 255])], "route", 1, .sidecar(port: 80)),
        (
            "another", [.target("MARK", revision: 2, [1, 0, 0, 0, 255, 255, 255, 255])], "route", 2,
            .application(port: 80)
        ),
        // Nothing routes the packet again.
        (
            "filter", [.target("MARK", revision: 2, [1, 0, 0, 0, 255, 255, 255, 255])], "filter", 1,
            .application(port: 80)
        ),
        ("restored", [connectionMark(1, mode: 0), connectionMark(0, mode: 2)], "route", 1, .sidecar(port: 80)),
        ("not restored", [connectionMark(1, mode: 0)], "route", 1, .application(port: 80)),
        ("shifted", [connectionMark(1, mode: 0), connectionMark(0, mode: 2, shift: 1)], "route", 1, .unknown),
    ]

    @Test("The routing rules say whether a mark sends a packet to TPROXY", arguments: markRules)
    func routedMark(_ name: String, _ parts: [RulePart], _ type: String, _ routed: UInt32, _ end: PacketPath.End) {
        var mangle = FilterTable(family: .ip, name: "mangle", backend: .nftables)
        mangle.chains["OUTPUT"] = FilterChain(base: BaseChain(type: type, hook: .output, priority: -150))
        mangle.chains["OUTPUT"]?.rules = parts.enumerated().map {
            .init(handle: UInt64($0.offset), parts: [$0.element])
        }
        mangle.chains["PREROUTING"] = FilterChain(base: BaseChain(type: "filter", hook: .prerouting, priority: -150))
        mangle.chains["PREROUTING"]?.rules = [FilterRule(handle: 9, parts: [.transparentProxy(port: nil)])]
        var rule = RoutingRule(priority: 9, action: .table(100))
        (rule.mark, rule.mask) = (routed, .max)
        var context = Self.context
        context.routing[.ip] = RoutingPolicy(rules: [rule], loopbackPrefixes: [100: 0])
        #expect(Self.path(mangle, context: context).end == end)
    }

    @Test("The matcher matches, does not, or is not known")
    func matcher() {
        let information = [1, 0, 0, 0, 4, 0, 0, 0] + Array("/pin".utf8) + Array(repeating: 0, count: 516) as [UInt8]
        let table = Self.nat([[.match("bpf", revision: 1, information), .verdict(.accept)], Self.redirect])
        for (matches, end) in [
            (true, .application(port: 80)), (false, .sidecar(port: 15001)), (nil, .unknown),
        ] as [(Bool?, PacketPath.End)] {
            var context = Self.context
            context.matcher.matches = matches
            #expect(Self.path(table, context: context).end == end)
            context.matcher.pin = "/other"
            #expect(Self.path(table, context: context).end == .unknown)
        }
    }

    @Test(
        "Matches of x_tables, each way",
        arguments: [
            ("owner", 1, [0, 0, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 8) + [1, 0], true),
            ("owner", 1, [0, 0, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 8) + [1, 1], false),
            ("owner", 1, [UInt8](repeating: 0, count: 16) + [10, 0], nil),
            ("multiport", 1, [1, 1, 80, 0] + [UInt8](repeating: 0, count: 44), true),
            (
                "multiport", 1,
                [1, 2, 70, 0, 90, 0] + [UInt8](repeating: 0, count: 26) + [1] + [UInt8](repeating: 0, count: 15), true
            ),
            ("multiport", 1, [0, 1, 80, 0] + [UInt8](repeating: 0, count: 44), nil),
            ("tcp", 0, [0, 0, 255, 255, 81, 0, 255, 255, 0, 0, 0, 2], true),
            ("tcp", 0, [0, 0, 255, 255, 80, 0, 80, 0, 0, 0x17, 2, 0], true),
            ("udp", 0, [0, 0, 255, 255, 0, 0, 255, 255, 0, 0], false),
            ("mark", 1, [1, 0, 0, 0, 1, 0, 0, 0, 0], false), ("mark", 1, [1, 0, 0, 0, 1, 0, 0, 0, 1], true),
            ("addrtype", 1, [0, 0, 4, 0, 0, 0, 0, 0], false), ("addrtype", 1, [4, 0, 4, 0, 2, 0, 0, 0], true),
            ("state", 0, [8, 0, 0, 0], true), ("comment", 0, [], true), ("socket", 3, [0], nil), ("tcp", 9, [], nil),
        ] as [(String, UInt32, [UInt8], Bool?)])
    func extensions(_ name: String, _ revision: UInt32, _ bytes: [UInt8], _ expected: Bool?) {
        var packet = Self.outbound
        packet.isTracked = true
        #expect(matches(name, revision: revision, bytes, packet, Self.context) == expected)
        for length in 0..<bytes.count {
            _ = matches(name, revision: revision, Array(bytes.prefix(length)), packet, Self.context)
        }
    }

    @Test("Sets, intervals, maps and what stands for all others")
    func sets() throws {
        func element(_ key: UInt8, _ isEnd: Bool = false) -> FilterSet.Element { .init(key: [0, key], isEnd: isEnd) }
        var ports = FilterSet(
            isInterval: true, elements: [element(90), element(80), element(90, true), element(99, true)])
        ports.sort()
        for (port, isIn) in [(79, false), (80, true), (89, true), (90, true), (98, true), (99, false)]
            as [(UInt8, Bool)]
        {
            #expect(try (ports.find([0, port]) != nil) == isIn, "\(port)")
        }
        #expect(throws: FilterSet.NotKnown.self) { try ports.find([0, nil]) }
        let load: [RulePart] = [.loadHeader(.transport, offset: 2, count: 2, into: 0)]
        func lookUp(_ set: FilterSet?, isVerdict: Bool = false) -> PacketPath.End {
            let part = RulePart.lookUp(set: "s", 0, into: nil, isVerdict: isVerdict, inverted: false)
            return Self.path(
                Self.nat([load + [part] + (isVerdict ? [] : Self.redirect)], ["a": [Self.redirect]], sets: ["s": set])
            )
            .end
        }
        #expect(lookUp(ports) == .sidecar(port: 15001) && lookUp(nil) == .unknown)
        #expect(lookUp(FilterSet(elements: [element(81)])) == .application(port: 80))
        let jump = FilterSet.Element(key: [0, 80], verdict: .jump("a"))
        #expect(lookUp(FilterSet(elements: [jump]), isVerdict: true) == .sidecar(port: 15001))
        let others = FilterSet.Element(key: [], verdict: .drop)
        #expect(lookUp(FilterSet(elements: [element(81)], catchAll: others), isVerdict: true) == .dropped)
    }
}
