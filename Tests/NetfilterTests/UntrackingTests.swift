import Testing

@testable import Netfilter

/// Rules that have conntrack pass packets over.
@Suite struct UntrackingTests {
    private static let notrack = Reply.expression("notrack", [])
    private static func transport(_ number: UInt8) -> [UInt8] {
        Reply.expression("meta", Reply.number(2, 16), Reply.number(1, 1))
            + Reply.expression(
                "cmp", Reply.number(1, 1), Reply.number(2, 0), Reply.nested(3, Reply.attribute(1, [number])))
    }
    private static func target(_ flags: UInt16) -> [UInt8] {
        Reply.expression(
            "target", Reply.text(1, "CT"), Reply.number(2, 2), Reply.attribute(3, Reply.little(flags) + [0, 0]))
    }

    private func untracking(_ rules: [[UInt8]], priority: Int32 = -300) -> [Untracking] {
        let interest = Ruleset.Interest(
            pin: "/sys/fs/bpf/bypass", table: (.inet, "kmesh_bypass"), chains: [] as [ChainName])
        var scan = RulesetScan(for: interest)
        let messages = rules.map { Reply.rule("PREROUTING", $0) }.flatMap(\.self)
        _ = Reply.read(messages) { message -> Int? in
            scan.add(message)
            return nil
        }
        scan.finish()
        guard let name = scan.untracking.first?.chain else { return [] }
        let base = BaseChain(type: "filter", hook: .prerouting, priority: priority)
        let table = Ruleset.Table(family: name.family, name: name.table, use: 1)
        var ruleset = Ruleset(generation: 1, tables: [table])
        ruleset.add(scan, of: table, [.init(name: name, base: base, use: UInt32(rules.count))], interest)
        return ruleset.untracking
    }

    @Test("Such a rule is found with its place and its protocol, where conntrack is asked after it")
    func found() {
        let rules = [Self.transport(17) + Self.notrack, Self.transport(6) + Self.target(1), Self.notrack]
        let found = untracking(rules)
        #expect(found.map(\.number) == [1, 2, 3])
        #expect(found.map(\.isForTCP) == [false, true, true] && found.map(\.isForUDP) == [true, false, true])
        #expect(untracking(rules, priority: -150).isEmpty)
    }

    @Test("Another use of CT is none")
    func others() { #expect(untracking([Self.target(0), Self.target(2)]).isEmpty) }

    @Test("Of very many, the last one that is kept stands for the rest")
    func many() {
        let found = untracking(Array(repeating: Self.transport(17) + Self.notrack, count: 40))
        #expect(found.count == 16 && found.map(\.isForTCP) == Array(repeating: false, count: 15) + [true])
    }
}
