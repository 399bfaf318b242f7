import Testing

@testable import Netfilter

/// Where the packets come in that a rule is for, and whether it sets a mark: what decides about the direction of a redirect.
@Suite struct RuleMeaningTests {
    private static func interface(_ name: String, _ operation: UInt32 = 0, key: UInt32 = 6) -> [UInt8] {
        Reply.expression("meta", Reply.number(2, key), Reply.number(1, 1)) + equal(name, operation)
    }

    private static func equal(_ name: String, _ operation: UInt32 = 0) -> [UInt8] {
        let value = Reply.nested(3, Reply.attribute(1, Array(name.utf8) + [0]))
        return Reply.expression("cmp", Reply.number(1, 1), Reply.number(2, operation), value)
    }

    private static let tproxy = Reply.expression("tproxy", Reply.number(1, 2))
    private static let jump = Reply.verdict(-3, "a")
    private static func set(_ name: String) -> [UInt8] {
        Reply.expression(name, Reply.number(2, 3), Reply.number(name == "meta" ? 3 : 4, 1))
    }
    private static func load(_ name: String) -> [UInt8] {
        Reply.expression(name, Reply.number(2, 3), Reply.number(1, 1))
    }

    private static let inputs: [(String, [[UInt8]], Redirect.Sources)] = [
        ("any", [tproxy], [.outside, .loopback]), ("-i lo", [interface("lo") + tproxy], .loopback),
        ("-i net1", [interface("net1") + tproxy], [.outside, .namedInterface]),
        ("! -i lo", [interface("lo", 1) + tproxy], [.outside, .loopback]),
        ("-i lon", [interface("lon") + tproxy], [.outside, .namedInterface]),
        ("both", [interface("lo") + tproxy, interface("net1") + tproxy], [.outside, .loopback, .namedInterface]),
        ("contradiction", [interface("lo") + jump], []),
    ]

    @Test("Where packets come in that a redirect takes is known, over jumps too", arguments: inputs)
    func input(_ name: String, _ rules: [[UInt8]], _ expected: Redirect.Sources) {
        var messages = rules.map { Reply.rule("PREROUTING", $0) }
        messages.append(Reply.rule("a", Self.interface("net1") + Self.tproxy))
        #expect(sources(messages) == (expected.isEmpty ? nil : expected))
        // The same behind a jump, and with the condition on the jump.
        let behind = rules.map { Reply.rule("b", $0) } + [Reply.rule("PREROUTING", Reply.verdict(-3, "b"))]
        if name != "contradiction" { #expect(sources(behind) == expected) }
        let jump = Reply.rule("PREROUTING", Self.interface("lo") + Reply.verdict(-4, "b"))
        let narrowed = expected.intersection(.loopback)
        #expect(sources([jump] + behind.dropLast()) == (narrowed.isEmpty ? nil : narrowed))
    }

    private static func transport(_ number: UInt8, _ operation: UInt32 = 0, register: UInt32 = 1) -> [UInt8] {
        loadTransport
            + Reply.expression(
                "cmp", Reply.number(1, register), Reply.number(2, operation),
                Reply.nested(3, Reply.attribute(1, [number])))
    }

    private static let loadTransport = Reply.expression("meta", Reply.number(2, 16), Reply.number(1, 1))

    private static let transports: [(String, [[UInt8]], Bool)] = [
        ("any", [tproxy], true), ("tcp", [transport(6) + tproxy], false), ("udp", [transport(17) + tproxy], true),
        ("not tcp", [transport(6, 1) + tproxy], true), ("both", [transport(6) + tproxy, transport(17) + tproxy], true),
        ("tcp, -i net1", [transport(6) + interface("net1") + tproxy], false),
        ("-i net1, tcp", [interface("net1") + transport(6) + tproxy], false),
        ("tcp, counter", [transport(6) + Reply.expression("counter", []) + tproxy], false),
        ("another register", [transport(6, register: 2) + tproxy], true),
        ("changed first", [loadTransport + bitwise(0, 6) + transport(6).dropFirst(loadTransport.count) + tproxy], true),
        ("udp, -i lo", [transport(6) + tproxy, transport(17) + interface("lo") + tproxy], false),
    ]

    @Test("Whether TPROXY takes more than TCP from outside is known, over jumps too", arguments: transports)
    func transport(_ name: String, _ rules: [[UInt8]], _ takesDatagrams: Bool) {
        let base = ChainGraph.key("PREROUTING")
        let direct = scan(rules.map { Reply.rule("PREROUTING", $0) })
        let behind = scan(rules.map { Reply.rule("b", $0) } + [Reply.rule("PREROUTING", Reply.verdict(-3, "b"))])
        for scan in [direct, behind] {
            let sources = scan.graph.bases([base], reaching: .datagramProxy)[base] ?? []
            #expect(sources.contains(.outside) == takesDatagrams)
            #expect(scan.graph.bases([base], reaching: .transparentProxy)[base]?.contains(.outside) == true)
        }
    }

    private func scan(_ messages: [[UInt8]]) -> RulesetScan {
        var scan = RulesetScan(
            for: .init(pin: "/sys/fs/bpf/bypass", table: (.inet, "kmesh_bypass"), chains: [] as [ChainName]))
        _ = Reply.read(messages.flatMap(\.self)) { message -> Int? in
            scan.add(message)
            return nil
        }
        scan.finish()
        return scan
    }

    private func sources(_ messages: [[UInt8]]) -> Redirect.Sources? {
        let base = ChainGraph.key("PREROUTING")
        return scan(messages).graph.bases([base], reaching: .transparentProxy)[base]
    }

    /// As the kernel has numbers in registers: in the machine's own order.
    private static func value(_ type: UInt16, _ number: UInt32) -> [UInt8] {
        Reply.nested(type, Reply.attribute(1, Reply.little(number)))
    }
    private static func constant(_ number: UInt32) -> [UInt8] {
        Reply.expression("immediate", Reply.number(1, 1), value(2, number))
    }
    private static func bitwise(_ mask: UInt32, _ xor: UInt32, _ operation: UInt32? = nil) -> [UInt8] {
        Reply.expression(
            "bitwise", Reply.number(1, 1), Reply.number(2, 1), Reply.number(3, 4), value(4, mask), value(5, xor),
            operation.map { Reply.number(6, $0) } ?? [])
    }
    private static let toAny = UInt32.max
    private static let marks: [(String, [UInt8], MarkWrite?)] = [
        ("meta mark set 7", constant(7) + set("meta"), .packet(.init(value: 7))),
        ("meta mark set 0", constant(0) + set("meta"), nil),
        ("ct mark set 7", constant(7) + set("ct"), .connection(.init(value: 7))),
        (
            "oifname eth0 meta mark set 7", interface("eth0", key: 7) + constant(7) + set("meta"),
            .packet(.init(value: 7))
        ),
        ("ct mark 1 meta mark set 7", load("ct") + equal("x") + constant(7) + set("meta"), .packet(.init(value: 7))),
        ("meta mark set mark or 1", load("meta") + bitwise(~1, 1) + set("meta"), .packet(.init(value: 1, mask: 1))),
        ("meta mark set mark xor 6", load("meta") + bitwise(toAny, 6) + set("meta"), .packet(.init(value: 6, mask: 0))),
        ("meta mark set mark and 15", load("meta") + bitwise(15, 0) + set("meta"), nil),
        (
            "meta mark set mark and 0xf0 or 3", load("meta") + bitwise(0xf0, 0) + bitwise(~3, 3) + set("meta"),
            .packet(.init(value: 3, mask: ~0xf0 | 3))
        ),
        ("meta mark set mark", load("meta") + set("meta"), nil),
        ("meta mark set ct mark", load("ct") + set("meta"), nil),
        ("meta mark set ct mark and 15", load("ct") + bitwise(15, 0) + set("meta"), nil),
        ("meta mark set ct mark >> 8", load("ct") + bitwise(0, 0, 2) + set("meta"), nil),
        ("meta mark set ct mark or 4", load("ct") + bitwise(~4, 4) + set("meta"), .packet(.init(value: 4))),
        ("ct mark set meta mark", load("meta") + set("ct"), nil),
        ("ct mark set meta mark or 4", load("meta") + bitwise(~4, 4) + set("ct"), .connection(.init(value: 4))),
        ("meta mark set mark << 8", load("meta") + bitwise(0, 0, 1) + set("meta"), .unknown),
        ("meta mark set numgen", Reply.expression("numgen", Reply.number(1, 1)) + set("meta"), .unknown),
        (
            "meta mark set 7, through a map",
            constant(7) + Reply.expression("lookup", Reply.number(3, 1)) + set("meta"), .unknown
        ),
        ("another key", Reply.expression("meta", Reply.number(2, 8), Reply.number(3, 1)), nil),
        ("xt MARK or", target("MARK", words(8, 8)), .packet(.init(value: 8, mask: 8))),
        ("xt MARK 0", target("MARK", words(0, 1)), nil), ("xt MARK cut off", target("MARK", []), .unknown),
        ("xt MARK of another revision", target("MARK", words(8, 8), 3), .unknown),
        ("xt CONNMARK set", target("CONNMARK", words(8, toAny, 0, 0), 1), .connection(.init(value: 8))),
        ("xt CONNMARK restore", target("CONNMARK", words(0, 8, 8, 2), 1), nil),
        (
            "xt CONNMARK set, second revision", target("CONNMARK", words(8, 8, 0, 0)),
            .connection(.init(value: 8, mask: 8))
        ),
        ("xt CONNMARK restore, second revision", target("CONNMARK", words(8, 8, 0, 2 << 16)), nil),
        ("xt CONNMARK set and shifted", target("CONNMARK", words(8, 8, 0, 1 << 8)), .unknown),
        ("xt CONNMARK of another revision", target("CONNMARK", words(0, 8, 8, 2), 0), .unknown),
        ("xt HMARK", target("HMARK", []), .unknown), ("xt SET", target("SET", words(0, 0, 0, 0), 3), nil),
        ("xt SET --map-mark", target("SET", words(0, 0, 0, 1 << 8), 3), .unknown), ("xt LOG", target("LOG", []), nil),
    ]

    private static func words(_ numbers: UInt32...) -> [UInt8] { numbers.flatMap { Reply.little($0) } }

    private static func target(_ name: String, _ information: [UInt8], _ revision: UInt32 = 2) -> [UInt8] {
        Reply.expression("target", Reply.text(1, name), Reply.number(2, revision), Reply.attribute(3, information))
    }

    @Test("What is written into a mark is known, and distinguished from what is copied", arguments: marks)
    func mark(_ name: String, _ expressions: [UInt8], _ write: MarkWrite?) {
        let scan = scan([Reply.rule("OUTPUT", expressions)])
        var expected = MarkChanges()
        if let write { expected.insert(write) }
        #expect(scan.marks[ChainGraph.key("OUTPUT")] ?? MarkChanges() == expected)
        #expect(scan.graph.chain("OUTPUT").effects.sources(of: .mark).contains(.outside) == (write != nil))
    }

    @Test("The marks of a base chain are those of the chains that it jumps to, and of many they are unknown")
    func marksOverJumps() {
        func marks(_ chains: [(String, [UInt8])]) -> [MarkChanges] {
            let base = Ruleset.Chain(
                name: ChainName(.ip, "nat", "OUTPUT"), base: BaseChain(type: "route", hook: .output, priority: -150),
                use: 0)
            var ruleset = Ruleset(generation: 1)
            ruleset.add(
                scan(chains.map { Reply.rule($0.0, $0.1) }), of: .init(family: .ip, name: "nat", use: 0), [base],
                .init(pin: "/pin", table: (.inet, "kmesh_bypass"), chains: [] as [ChainName]))
            return ruleset.redirects.all.map(\.marks)
        }
        func set(_ number: UInt32) -> [UInt8] { Self.constant(number) + Self.set("meta") }
        var two = MarkChanges()
        two.insert(.packet(.init(value: 1)))
        two.insert(.packet(.init(value: 2)))
        let toB = Reply.verdict(-3, "b")
        #expect(marks([("OUTPUT", set(1) + toB), ("b", set(2)), ("elsewhere", set(3))]) == [two])
        // What leaves by lo is for the pod itself.
        #expect(
            marks([("OUTPUT", Self.interface("lo", key: 7) + set(1) + toB), ("b", set(2))]).map(\.isEmpty) == [false])
        #expect(marks([("OUTPUT", Self.interface("lo", key: 7) + set(1))]).map(\.isEmpty) == [true])
        let many = (0..<17).map { ("c\($0)", set($0 + 1)) } + (0..<17).map { ("OUTPUT", Reply.verdict(-3, "c\($0)")) }
        #expect(marks(many) == [.unknown])
        #expect(marks((0..<17).map { ("OUTPUT", set($0 + 1)) }) == [.unknown])
    }

    /// A sidecar's own connections to its pod are marked so, and no application's.
    @Test("A mark for what leaves by lo is distinguished from others")
    func markOnLoopback() {
        for key in [UInt32(5), 7] {  // NFT_META_OIF, NFT_META_OIFNAME
            let name = key == 5 ? "\u{1}\0\0" : "lo"
            let rule = Self.interface(name, key: key) + Self.constant(1) + Self.set("meta")
            #expect(scan([Reply.rule("OUTPUT", rule)]).graph.chain("OUTPUT").effects.sources(of: .mark) == .loopback)
        }
    }
}
