import Testing

@testable import Netfilter

@Suite struct RulesetDecodingTests {
    typealias Expression = Ruleset.Expression

    @Test("A table has a name, and a count of what is in it")
    func tables() {
        let bytes =
            Reply.message(MessageType.newTable, Reply.text(1, "nat"), Reply.number(3, 4), Reply.number(2, 0))
            + Reply.message(MessageType.newTable, family: 1, Reply.text(1, "kmesh_bypass"))
            + Reply.message(MessageType.newChain, Reply.text(1, "nat"))
            + Reply.message(MessageType.newTable, family: 99, Reply.text(1, "future"))
        #expect(
            Reply.read(bytes, \.table) == [
                .init(family: .ip, name: "nat", use: 4), .init(family: .inet, name: "kmesh_bypass", use: 0),
            ])
    }

    @Test("A table may sleep, or belong to a process")
    func tableFlags() {
        func table(_ flags: UInt32) -> Ruleset.Table? {
            Reply.read(Reply.message(MessageType.newTable, Reply.text(1, "t"), Reply.number(2, flags)), \.table).first
        }
        #expect(table(0).map { [$0.isDormant, $0.hasOwner] } == [false, false])
        #expect(table(1).map { [$0.isDormant, $0.hasOwner] } == [true, false])
        #expect(table(2).map { [$0.isDormant, $0.hasOwner] } == [false, true])
    }

    @Test("A chain has a hook if it is a base chain of a family that matters")
    func chains() {
        func chain(_ family: UInt8, _ hook: UInt32?) -> [UInt8] {
            let place = hook.map { Reply.nested(4, Reply.number(1, $0), Reply.number(2, UInt32(bitPattern: -100))) }
            return Reply.message(
                MessageType.newChain, family: family, Reply.text(1, "nat"), Reply.text(3, "OUTPUT"),
                Reply.number(6, 3), Reply.text(7, "nat"), place ?? [])
        }
        let base = BaseChain(type: "nat", hook: .output, priority: -100)
        let bytes = chain(2, 3) + chain(10, nil) + chain(5, 0) + chain(1, 17)
        #expect(
            Reply.read(bytes, \.chain) == [
                .init(name: .init(.ip, "nat", "OUTPUT"), base: base, use: 3),
                .init(name: .init(.ip6, "nat", "OUTPUT"), base: nil, use: 3),
                .init(name: .init(.netdev, "nat", "OUTPUT"), base: nil, use: 3),
                .init(name: .init(.inet, "nat", "OUTPUT"), base: nil, use: 3),
            ])
    }

    @Test("Our rule is known in every word, with its handle and counters")
    func ourRule() throws {
        let rule = try #require(Reply.read(Reply.ourRule, \.rule).first)
        #expect(rule.chain == ChainName(.ip, "nat", "OUTPUT"))
        #expect(rule.handle == 7)
        #expect(
            rule.expressions == [
                .matchBPF(pin: "/sys/fs/bpf/bypass"), .counter(packets: 14, bytes: 840), .returnVerdict,
            ])
        #expect(rule.counted == (14, 840))
    }

    @Test("What we send is what we would know again")
    func roundTrip() {
        let name = ChainName(.inet, "kmesh_bypass", "output")
        let rule: [RuleExpression] = [
            .isFamily(.ip), .matchBPF(pin: "/sys/fs/bpf/bypass"), .counter, .dnatToOwnAddress(.ip),
        ]
        let bytes = Transaction([.appendRule(name, rule)]).prepared.encoded(sequence: 1, generation: nil).bytes
        let rules = Reply.read(bytes, \.rule)
        #expect(rules.map(\.chain) == [name])
        #expect(
            rules.map(\.expressions) == [
                [
                    .other, .comparison(isEqual: true), .matchBPF(pin: "/sys/fs/bpf/bypass"),
                    .counter(packets: 0, bytes: 0), .other,
                    .destinationNat(.ip),
                ]
            ])
    }

    private static let expressions: [(String, [UInt8], Expression)] = [
        ("jump", Reply.verdict(-3, "ISTIO_OUTPUT"), .jump(to: "ISTIO_OUTPUT")),
        ("goto", Reply.verdict(-4, "ISTIO_OUTPUT"), .jump(to: "ISTIO_OUTPUT")),
        ("accept", Reply.verdict(1), .acceptVerdict), ("return", Reply.verdict(-5), .returnVerdict),
        ("redirect", Reply.expression("redir", Reply.number(1, 1)), .destinationNat(nil)),
        ("xt REDIRECT", Reply.expression("target", Reply.text(1, "REDIRECT")), .destinationNat(nil)),
        ("xt DNAT", Reply.expression("target", Reply.text(1, "DNAT")), .destinationNat(nil)),
        ("xt TPROXY", Reply.expression("target", Reply.text(1, "TPROXY")), .transparentProxy),
        ("xt MARK", Reply.expression("target", Reply.text(1, "MARK")), .marks(.unknown)),
        ("tproxy", Reply.expression("tproxy", Reply.number(1, 2)), .transparentProxy),
        ("dnat", Reply.expression("nat", Reply.number(1, 1), Reply.number(2, 10)), .destinationNat(.ip6)),
        ("snat", Reply.expression("nat", Reply.number(1, 0), Reply.number(2, 2)), .other),
        ("verdict map", Reply.expression("lookup", Reply.text(1, "map"), Reply.number(3, 0)), .verdictMap),
        ("set lookup", Reply.expression("lookup", Reply.text(1, "set"), Reply.number(2, 1)), .other),
        ("data map", Reply.expression("lookup", Reply.text(1, "map"), Reply.number(3, 1)), .other),
        ("bpf by bytecode", Reply.match("/sys/fs/bpf/bypass", mode: 0), .other),
        ("bpf of another revision", Reply.match("/sys/fs/bpf/bypass", revision: 0), .other),
        ("bpf cut short", Reply.match("/sys/fs/bpf/bypass", size: 527), .other),
        ("another program", Reply.match("/sys/fs/bpf/other"), .matchBPF(pin: "/sys/fs/bpf/other")),
        ("from the future", Reply.expression("quantum"), .other),
        ("nameless", Reply.nested(1, Reply.nested(2, Reply.number(1, 1))), .other),
        ("empty", Reply.nested(1), .other),
    ]

    @Test("Each expression is taken for what it does", arguments: expressions)
    func expression(_ name: String, _ bytes: [UInt8], _ expected: Expression) {
        #expect(Reply.read(Reply.rule("c", bytes), \.rule).map(\.expressions) == [[expected]])
    }

    @Test("Acknowledgements have the error and the kernel's own word")
    func acknowledgements() {
        func acknowledgement(_ error: Int32, flags: UInt16, _ more: [UInt8] = []) -> [UInt8] {
            let header = [UInt8](repeating: 0, count: 16)
            let payload = Reply.little(error) + header + more
            return Reply.little(UInt32(16 + payload.count)) + Reply.little(UInt16(2)) + Reply.little(flags)
                + Reply.little(UInt32(9)) + Reply.little(UInt32(0)) + payload
        }
        let bytes =
            acknowledgement(0, flags: 0x100)
            + acknowledgement(-2, flags: 0x300, Reply.text(1, "no such chain"))
            + acknowledgement(-1, flags: 0x100, Reply.text(1, "not to be read"))
        #expect(Reply.read(bytes, \.acknowledgement) == [0, 2, 1])
        #expect(Reply.read(bytes) { $0.errorDetail } == ["no such chain"])
        #expect(Reply.read(bytes) { $0.sequence } == [9, 9, 9])
    }
}
