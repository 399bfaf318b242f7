import Testing

@testable import Netfilter

/// Where the routing rules send packets with marks that rules at OUTPUT have set.
@Suite struct RoutingPolicyTests {
    typealias Way = RoutingPolicy.Way

    private static func rule(
        _ priority: UInt32, _ action: RoutingRule.Action, mark: UInt32 = 0, mask: UInt32? = nil, not: Bool = false,
        others: Certainty = .yes, shortest: Int = 0
    ) -> RoutingRule {
        var rule = RoutingRule(priority: priority, action: action)
        (rule.mark, rule.mask, rule.isInverted) = (mark, mask ?? (mark == 0 ? 0 : .max), not)
        (rule.others, rule.shortestPrefix) = (others, shortest)
        return rule
    }

    private static let own = [rule(32766, .table(254)), rule(32767, .table(253))]
    private static let local = rule(0, .table(255))

    /// With the kernel's own rules, and a default local route in table 100.
    private static func policy(_ rules: [RoutingRule], prefixes: [UInt32: Int] = [100: 0]) -> RoutingPolicy {
        RoutingPolicy(
            rules: ([local] + rules + own).sorted { $0.priority < $1.priority }, loopbackPrefixes: prefixes)
    }

    private static func mayBe(_ priority: UInt32) -> Way { .unknown("routing rule \(priority) may send them there") }

    /// Of packets with the mark 1.
    private static let rules: [(String, [RoutingRule], Way)] = [
        ("no rules", [], .outside), ("fwmark 1", [rule(9, .table(100), mark: 1)], .loopback),
        ("fwmark 2", [rule(9, .table(100), mark: 2)], .outside),
        ("fwmark 1, a table without such a route", [rule(9, .table(101), mark: 1)], .outside),
        (
            "fwmark 1, the kernel's own tables", [rule(8, .table(254), mark: 1), rule(9, .table(253), mark: 1)],
            .outside
        ),
        (
            "fwmark 1, an unknown table", [rule(9, .table(nil), mark: 1)],
            .unknown("the table of routing rule 9 is not known")
        ),
        ("fwmark 3/1", [rule(9, .table(100), mark: 3, mask: 1)], .loopback),
        ("fwmark 3/2", [rule(9, .table(100), mark: 3, mask: 2)], .outside),
        ("fwmark 0/2", [rule(9, .table(100), mask: 2)], .loopback),
        ("fwmark 0/1", [rule(9, .table(100), mask: 1)], .outside),
        ("all", [rule(9, .table(100))], .loopback),
        ("not fwmark 1", [rule(9, .table(100), mark: 1, not: true)], .outside),
        ("not fwmark 2", [rule(9, .table(100), mark: 2, not: true)], .loopback),
        ("iif eth0 fwmark 1", [rule(9, .table(100), mark: 1, others: .no)], .outside),
        ("not iif eth0", [rule(9, .table(100), not: true, others: .no)], .loopback),
        ("uidrange fwmark 1", [rule(9, .table(100), mark: 1, others: .maybe)], mayBe(9)),
        ("uidrange fwmark 2", [rule(9, .table(100), mark: 2, others: .maybe)], .outside),
        ("not uidrange fwmark 1", [rule(9, .table(100), mark: 1, not: true, others: .maybe)], mayBe(9)),
        ("not uidrange fwmark 2", [rule(9, .table(100), mark: 2, not: true, others: .maybe)], .loopback),
        ("after main", [rule(40000, .table(100), mark: 1)], mayBe(40000)),
        ("before local", [rule(0, .table(100), mark: 1)], .loopback),
        ("after another table", [rule(8, .table(7), mark: 1), rule(9, .table(100), mark: 1)], mayBe(9)),
        ("after another mark's table", [rule(8, .table(7), mark: 2), rule(9, .table(100), mark: 1)], .loopback),
        ("blackhole before", [rule(8, .refuse, mark: 1), rule(9, .table(100), mark: 1)], .outside),
        ("blackhole of another mark", [rule(8, .refuse, mark: 2), rule(9, .table(100), mark: 1)], .loopback),
        ("blackhole of some", [rule(8, .refuse, mark: 1, others: .maybe), rule(9, .table(100), mark: 1)], mayBe(9)),
        ("blackhole of all but", [rule(8, .refuse, mark: 1, not: true), rule(9, .table(100), mark: 1)], .loopback),
        ("nop", [rule(8, .nothing, mark: 1), rule(9, .table(100), mark: 1)], .loopback),
        ("goto past it", [rule(8, .goTo(20), mark: 1), rule(9, .table(100)), rule(20, .nothing)], .outside),
        ("goto to it", [rule(7, .goTo(9), mark: 1), rule(8, .refuse), rule(9, .table(100))], .loopback),
        (
            "goto of another mark", [rule(8, .goTo(20), mark: 2), rule(9, .table(100), mark: 1), rule(20, .nothing)],
            .loopback
        ),
        ("goto nowhere", [rule(8, .goTo(10), mark: 1), rule(9, .table(100), mark: 1)], .loopback),
        ("goto of some", [rule(7, .goTo(9), others: .maybe), rule(8, .refuse), rule(9, .table(100))], mayBe(9)),
        ("goto back", [rule(5, .nothing), rule(8, .goTo(5)), rule(9, .table(100))], .outside),
        ("suppress_prefixlength 0", [rule(9, .table(100), mark: 1, shortest: 1)], .outside),
    ]

    @Test("Rules are evaluated in their order, and what is not known is not guessed", arguments: rules)
    func way(_ name: String, _ rules: [RoutingRule], _ expected: Way) {
        #expect(Self.policy(rules).way(of: PossibleMarks(1)) == expected)
        // As the one that a chain sets, if no other packets are taken.
        let unmarked = Self.policy(rules).way(of: PossibleMarks(0))
        var changes = MarkChanges()
        changes.insert(.packet(.init(value: 1)))
        if unmarked == .outside { #expect(Self.policy(rules).way(of: changes) == expected) }
    }

    @Test("Routes of longer prefixes than those that are passed over count")
    func prefixes() {
        let rules = [Self.rule(9, .table(100), mark: 1, shortest: 9)]
        for (longest, way) in [(8, Way.outside), (9, .loopback)] {
            #expect(Self.policy(rules, prefixes: [100: longest]).way(of: PossibleMarks(1)) == way)
        }
    }

    private static let writes: [(String, [MarkWrite], RoutingRule, Way)] = [
        (
            "its bits", [.packet(.init(value: 0x10, mask: 0xf0))], rule(9, .table(100), mark: 0x10, mask: 0xf0),
            .loopback
        ),
        ("other bits", [.packet(.init(value: 0x10, mask: 0xf0))], rule(9, .table(100), mark: 0x539), .outside),
        (
            "one of several", [.packet(.init(value: 7)), .packet(.init(value: 1))], rule(9, .table(100), mark: 1),
            .loopback
        ),
        (
            "several together", [.packet(.init(value: 1, mask: 1)), .packet(.init(value: 2, mask: 2))],
            rule(9, .table(100), mark: 3), mayBe(9)
        ),
        ("a connection's", [.connection(.init(value: 1))], rule(9, .table(100), mark: 1), mayBe(9)),
        ("another connection's", [.connection(.init(value: 2))], rule(9, .table(100), mark: 1), .outside),
        ("a number that is not known", [.unknown], rule(9, .table(100), mark: 1), mayBe(9)),
        ("the same, where no rule leads there", [.unknown], rule(9, .table(101), mark: 1), .outside),
        // The sidecar's own packets are marked, and all others are taken.
        ("all but the sidecar's", [.packet(.init(value: 1))], rule(9, .table(100), mark: 1, not: true), .loopback),
        ("all without a mark", [.packet(.init(value: 1))], rule(9, .table(100), mask: .max), .loopback),
        ("inverted bits", [.packet(.init(value: 1, mask: 0))], rule(9, .table(100), mark: 1), .loopback),
    ]

    @Test("What the rules of a chain set decides, alone and together", arguments: writes)
    func changes(_ name: String, _ writes: [MarkWrite], _ rule: RoutingRule, _ expected: Way) {
        var changes = MarkChanges()
        for write in writes { changes.insert(write) }
        let policy = Self.policy([rule])
        #expect(policy.way(of: changes) == expected)
        // The tables that have to be read are those that the answer is from.
        let tables = policy.tables(for: changes.possibleMarks)
        #expect(expected == .outside || tables == [100])
    }

    @Test("A table is read only where a rule leads to it")
    func tables() {
        let policy = Self.policy([
            Self.rule(7, .table(100), mark: 1), Self.rule(8, .table(101), mark: 2), Self.rule(9, .table(254), mark: 1),
            Self.rule(10, .table(102), mark: 1, not: true),
        ])
        #expect(policy.tables(for: [PossibleMarks(1)]) == [100])
        #expect(policy.tables(for: [PossibleMarks(2)]) == [101, 102])
        #expect(policy.tables(for: [.any]) == [100, 101, 102])
        #expect(policy.tables(for: []) == [])
    }

    // MARK: as the kernel sends them

    private static func number(_ type: UInt16, _ number: UInt32) -> [UInt8] {
        Reply.attribute(type, Reply.little(number))
    }

    private static let sent: [(String, [UInt8], [UInt8], RoutingRule)] = [
        (
            "lookup", [2, 0, 0, 0, 254, 0, 0, 1], number(6, 32766) + number(15, 254) + number(14, .max),
            rule(32766, .table(254))
        ),
        ("table over 255", [2, 0, 0, 0, 252, 0, 0, 1], number(15, 1000), rule(0, .table(1000))),
        ("table 0", [2, 0, 0, 0, 0, 0, 0, 1], [], rule(0, .table(nil))),
        ("fwmark", [2, 0, 0, 0, 9, 0, 0, 1], number(10, 1) + number(16, 3), rule(0, .table(9), mark: 1, mask: 3)),
        ("fwmark 0", [2, 0, 0, 0, 9, 0, 0, 1], number(16, 255), rule(0, .table(9), mask: 255)),
        ("source", [2, 0, 24, 0, 9, 0, 0, 1], Reply.attribute(2, [10, 0, 0, 0]), rule(0, .table(9), others: .maybe)),
        ("tos", [2, 0, 0, 16, 9, 0, 0, 1], [], rule(0, .table(9), others: .maybe)),
        ("iif lo", [2, 0, 0, 0, 9, 0, 0, 1], Reply.text(3, "lo"), rule(0, .table(9))),
        ("iif lon", [2, 0, 0, 0, 9, 0, 0, 1], Reply.text(3, "lon"), rule(0, .table(9), others: .no)),
        ("oif lo", [2, 0, 0, 0, 9, 0, 0, 1], Reply.text(17, "lo"), rule(0, .table(9), others: .maybe)),
        ("uidrange", [2, 0, 0, 0, 9, 0, 0, 1], number(20, 0), rule(0, .table(9), others: .maybe)),
        ("of a later kernel", [2, 0, 0, 0, 9, 0, 0, 1], number(99, 0), rule(0, .table(9), others: .maybe)),
        (
            "iif eth0 uidrange", [2, 0, 0, 0, 9, 0, 0, 1], Reply.text(3, "eth0") + number(20, 0),
            rule(0, .table(9), others: .no)
        ),
        ("l3mdev", [2, 0, 0, 0, 0, 0, 0, 1], Reply.attribute(19, [1]), rule(0, .table(nil), others: .maybe)),
        ("no l3mdev", [2, 0, 0, 0, 9, 0, 0, 1], Reply.attribute(19, [0]), rule(0, .table(9))),
        ("realms, protocol", [2, 0, 0, 0, 9, 0, 0, 1], number(11, 7) + Reply.attribute(21, [4]), rule(0, .table(9))),
        ("suppress_prefixlength", [2, 0, 0, 0, 9, 0, 0, 1], number(14, 8), rule(0, .table(9), shortest: 9)),
        ("suppress_ifgroup", [2, 0, 0, 0, 9, 0, 0, 1], number(13, 8), rule(0, .table(9), others: .maybe)),
        ("goto", [2, 0, 0, 0, 0, 0, 0, 2], number(4, 20), rule(0, .goTo(20))),
        ("nop", [2, 0, 0, 0, 0, 0, 0, 3], [], rule(0, .nothing)),
        ("blackhole", [2, 0, 0, 0, 0, 0, 0, 6], [], rule(0, .refuse)),
        ("unreachable", [2, 0, 0, 0, 0, 0, 0, 7], [], rule(0, .refuse)),
        ("prohibit", [2, 0, 0, 0, 0, 0, 0, 8], [], rule(0, .refuse)),
        ("an unknown action", [2, 0, 0, 0, 0, 0, 0, 9], [], rule(0, .table(nil))),
    ]

    private static func read(_ bytes: [UInt8]) -> RoutingRule?? {
        Reply.read(bytes) { $0.routingRule as RoutingRule?? }.first
    }

    private static func message(_ header: [UInt8], flags: UInt32 = 0, _ attributes: [UInt8]) -> [UInt8] {
        let payload = header + Reply.little(flags) + attributes
        return Reply.little(UInt32(payload.count + 16)) + Reply.little(UInt16(32)) + Reply.little(UInt16(2))
            + Reply.little(UInt32(1)) + Reply.little(UInt32(0)) + payload
    }

    @Test("A rule is read as the kernel sends it", arguments: sent)
    func decoding(_ name: String, _ header: [UInt8], _ attributes: [UInt8], _ expected: RoutingRule) {
        #expect(Self.read(Self.message(header, attributes)) == expected)
        var inverted = expected
        inverted.isInverted = true
        #expect(Self.read(Self.message(header, flags: 2, attributes)) == inverted)
        #expect(Self.read(Self.message(Array(header.dropLast(4)), [])) == .some(nil))
    }
}
