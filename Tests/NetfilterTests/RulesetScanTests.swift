import Testing

@testable import Netfilter

/// Of a table's rules only ours are kept; the others leave what they do together.
@Suite struct RulesetScanTests {
    private static let pin = "/sys/fs/bpf/bypass"
    private let interest = Ruleset.Interest(
        pin: pin, table: (.inet, "kmesh_bypass"),
        chains: [ChainName(.ip, "nat", "OUTPUT"), ChainName(.inet, "kmesh_bypass", "output")])
    private let output = ChainName(.ip, "nat", "OUTPUT")

    private func scan(_ messages: [UInt8]...) -> RulesetScan {
        var scan = RulesetScan(for: interest)
        _ = Reply.read(messages.flatMap(\.self)) { message -> Int? in
            scan.add(message)
            return nil
        }
        scan.finish()
        return scan
    }

    private static let redirect = Reply.expression("redir", Reply.number(1, 1))
    private static let returns = Reply.verdict(-5)

    @Test("Our rule is kept as it is, with its place in the chain")
    func ours() {
        let scan = scan(Reply.rule("OUTPUT", Self.returns), Reply.ourRule, Reply.rule("OUTPUT", Self.redirect))
        #expect(scan.rules.map(\.position) == [1] && scan.rules.map(\.chain) == [output])
        #expect(scan.rules.first?.expressions == Reply.read(Reply.ourRule, \.rule).first?.expressions)
        #expect(scan.graph.chain("OUTPUT").ruleCount == 3)
    }

    @Test("A rule that asks another program is not kept; one that asks ours is, whatever else it does")
    func others() {
        let scan = scan(
            Reply.rule("OUTPUT", Reply.match("/sys/fs/bpf/other"), Self.returns),
            Reply.rule("OUTPUT", handle: 8, Reply.verdict(-3, "x"), Reply.match(Self.pin), Self.redirect))
        #expect(scan.rules.map(\.handle) == [8] && scan.rules.map(\.position) == [1])
    }

    @Test("In the guard's chains every rule is kept, in its order")
    func ownTable() {
        func rule(_ chain: String, _ table: String, _ handle: UInt64, family: UInt8 = 1) -> [UInt8] {
            Reply.message(
                MessageType.newRule, family: family, Reply.text(1, table), Reply.text(2, chain),
                Reply.number64(3, handle), Reply.nested(4, Self.returns))
        }
        let scan = scan(
            rule("output", "kmesh_bypass", 1), rule("output", "kmesh_bypass", 2), rule("x", "kmesh_bypass", 3),
            rule("output", "other", 4), rule("output", "kmesh_bypass", 5, family: 2))
        #expect(scan.rules.map(\.handle) == [1, 2] && scan.rules.map(\.position) == [0, 1])
    }

    @Test("Of a chain's rules that are ours, or look like it, sixteen are kept")
    func manyOfOurs() {
        let rules = (0..<100).flatMap { _ in Reply.ourRule }
        let scan = scan(Reply.rule("OUTPUT", Self.returns), rules, Reply.rule("x", Self.returns), rules)
        #expect(scan.rules.map(\.position) == Array(1...16))
        #expect(scan.graph.chain("OUTPUT").ruleCount == 201)
    }

    @Test("What the rules of a chain do is known together, in whatever order chains come")
    func effects() {
        let scan = scan(
            Reply.rule("OUTPUT", Reply.verdict(-3, "a"), Reply.verdict(-4, "b")), Reply.rule("a", Self.redirect),
            Reply.rule("OUTPUT", Reply.verdict(-3, "a")),
            Reply.rule("b", Reply.expression("tproxy", Reply.number(1, 2))),
            Reply.rule("OUTPUT", Reply.expression("lookup", Reply.text(1, "map"), Reply.number(3, 0))))
        #expect(scan.graph.chain("OUTPUT").effects == .verdictMap && scan.graph.chain("OUTPUT").ruleCount == 3)
        #expect(scan.graph.chain("a").effects == .destinationNat)
        #expect(scan.graph.chain("b").effects == [.transparentProxy, .datagramProxy])
        let bases = ["OUTPUT", "PREROUTING"].map { ChainGraph.key($0) }
        for effect in [ChainGraph.Effects.destinationNat, .transparentProxy] {
            #expect(scan.graph.bases(Set(bases), reaching: effect) == [bases[0]: [.outside, .loopback]])
        }
    }

    @Test("Names that begin alike, or are not UTF-8, are other names")
    func names() {
        func rule(_ chain: [UInt8]) -> [UInt8] {
            Reply.message(
                MessageType.newRule, Reply.text(1, "nat"), Reply.attribute(2, chain + [0]), Reply.number64(3, 1),
                Reply.nested(4, Self.returns))
        }
        let scan = scan(rule([0x61]), rule([0x61, 0x62]), rule([0x61]), rule([0xff]), rule([0xfe]), rule([]))
        for (name, count) in ["a": 2, "ab": 1, "\u{fffd}": 2, "": 1] as [String: UInt32] {
            #expect(scan.graph.chain(name).ruleCount == count)
        }
    }

    @Test("A message that is not a rule leaves nothing")
    func noRules() {
        let scan = scan(
            Reply.message(MessageType.newChain, Reply.text(1, "nat")),
            Reply.message(MessageType.newRule, family: 99, Reply.text(1, "nat")))
        #expect(scan.graph.chain("").ruleCount == 0 && scan.rules.isEmpty)
    }

    @Test("Counters are read without the rest of the rule")
    func counters() {
        #expect(Reply.read(Reply.ourRule) { $0.counted.map { [$0.packets, $0.bytes] } } == [[14, 840]])
        #expect(Reply.read(Reply.rule("c", Self.returns)) { $0.counted.map { [$0.packets, $0.bytes] } } == [[0, 0]])
        #expect(Reply.read(Reply.message(MessageType.newChain)) { $0.counted.map { [$0.packets] } }.isEmpty)
        var rule = Reply.read(Reply.ourRule, \.rule)[0]
        rule.counted = (1, 2)
        #expect(rule.counted == (1, 2) && rule.expressions.count == 3)
    }
}
