import Testing

@testable import Netfilter

@Suite struct RedirectTests {
    private static let nat = BaseChain(type: "nat", hook: .output, priority: -100)

    /// A ruleset of one table; chains as name, base and rules, each rule one expression.
    private func ruleset(
        _ family: Family = .ip, _ table: String = "nat",
        _ chains: [(String, BaseChain?, [Ruleset.Expression])]
    ) -> Ruleset {
        var ruleset = Ruleset(generation: 1, tables: [.init(family: family, name: table, use: 0)])
        for (name, base, expressions) in chains {
            let chain = ChainName(family, table, name)
            ruleset.chains.append(.init(name: chain, base: base, use: 0))
            for expression in expressions {
                for part in [.other, expression] { ruleset.effects[chain, default: .init()].add(part) }
            }
        }
        return ruleset
    }

    private func found(_ ruleset: Ruleset) -> [Redirect] {
        ruleset.redirects(except: (.inet, "kmesh_bypass"))
    }

    @Test("Istio's redirect is found behind two jumps, once")
    func istio() {
        let ruleset = ruleset(
            .ip, "nat",
            [
                ("OUTPUT", Self.nat, [.jump(to: "ISTIO_OUTPUT")]),
                ("ISTIO_OUTPUT", nil, [.returnVerdict, .jump(to: "ISTIO_REDIRECT"), .jump(to: "ISTIO_REDIRECT")]),
                ("ISTIO_REDIRECT", nil, [.destinationNat(nil)]), ("POSTROUTING", nil, [.destinationNat(.ip)]),
            ])
        let chain = ChainName(.ip, "nat", "OUTPUT")
        #expect(
            found(ruleset) == [.init(chain: chain, backend: .nftables, hook: .output, priority: -100, mechanism: .nat)])
    }

    @Test("Each family's chains are told as they are", arguments: [Family.ip, .ip6, .inet])
    func families(_ family: Family) {
        let base = BaseChain(type: "nat", hook: .prerouting, priority: -105)
        let ruleset = ruleset(family, "mesh", [("in", base, [.destinationNat(family)])])
        #expect(found(ruleset).map(\.chain) == [ChainName(family, "mesh", "in")])
        #expect(found(ruleset).map(\.priority) == [-105])
    }

    @Test("Chains that jump in a circle are each looked at once")
    func loops() {
        let circle: [(String, BaseChain?, [Ruleset.Expression])] = [
            ("OUTPUT", Self.nat, [.jump(to: "a")]), ("a", nil, [.jump(to: "b"), .jump(to: "a")]),
            ("b", nil, [.jump(to: "a"), .jump(to: "nowhere")]),
        ]
        #expect(found(ruleset(.ip, "nat", circle)) == [])
        #expect(found(ruleset(.ip, "nat", circle + [("b", nil, [.destinationNat(nil)])])).count == 1)
    }

    @Test("A verdict map may lead to every chain of its table")
    func verdictMap() {
        #expect(
            found(
                ruleset(.ip, "nat", [("OUTPUT", Self.nat, [.verdictMap]), ("x", nil, [.destinationNat(nil)])])
            ).count == 1)
        #expect(found(ruleset(.ip, "nat", [("OUTPUT", Self.nat, [.verdictMap]), ("x", nil, [.other])])) == [])
    }

    @Test("A table that sleeps takes nobody's connections")
    func dormant() {
        var ruleset = ruleset(.ip, "nat", [("OUTPUT", Self.nat, [.destinationNat(nil)])])
        ruleset.tables[0].isDormant = true
        #expect(found(ruleset) == [])
        ruleset.tables[0].family = .ip6
        #expect(found(ruleset).count == 1)
    }

    @Test("Thousands of maps and chains are looked at once each", .timeLimit(.minutes(1)))
    func manyMaps() {
        let chains =
            (0..<3000).map { ("c\($0)", nil as BaseChain?, Array(repeating: .verdictMap, count: 3)) }
            as [(String, BaseChain?, [Ruleset.Expression])]
        #expect(found(ruleset(.ip, "nat", [("OUTPUT", Self.nat, [.verdictMap])] + chains)) == [])
    }

    @Test("A redirect that no packet comes to does not count")
    func unreachable() {
        #expect(
            found(ruleset(.ip, "nat", [("OUTPUT", Self.nat, [.other]), ("x", nil, [.destinationNat(nil)])])) == [])
        // A chain of the same name in another table is another chain.
        var other = ruleset(.ip, "nat", [("OUTPUT", Self.nat, [.jump(to: "x")])])
        for (family, table) in [(Family.ip, "other"), (.ip6, "nat")] {
            other.effects.merge(ruleset(family, table, [("x", nil, [.destinationNat(nil)])]).effects) { known, _ in
                known
            }
        }
        #expect(found(other) == [])
    }

    private static let places: [(String, Hook, Ruleset.Expression, Redirect.Mechanism?)] = [
        ("nat", .prerouting, .destinationNat(nil), .nat), ("nat", .output, .destinationNat(.ip), .nat),
        ("nat", .input, .destinationNat(.ip), nil), ("nat", .postrouting, .destinationNat(.ip), nil),
        ("filter", .output, .destinationNat(.ip), nil), ("filter", .prerouting, .transparentProxy, .transparentProxy),
        ("filter", .output, .transparentProxy, nil), ("filter", .forward, .transparentProxy, nil),
        ("nat", .output, .other, nil), ("nat", .output, .matchBPF(pin: "/sys/fs/bpf/bypass"), nil),
    ]

    @Test("Where and what a chain is decides what it can take", arguments: places)
    func hooks(_ type: String, _ hook: Hook, _ expression: Ruleset.Expression, _ mechanism: Redirect.Mechanism?) {
        let base = BaseChain(type: type, hook: hook, priority: 0)
        #expect(
            found(ruleset(.ip, "t", [("c", base, [expression])])).map(\.mechanism) == (mechanism.map { [$0] } ?? []))
    }

    @Test("Our own table takes nobody's connections; one of its name in another family is somebody else's")
    func ownTable() {
        let chains = [("output", Self.nat as BaseChain?, [Ruleset.Expression.destinationNat(.ip)])]
        #expect(found(ruleset(.inet, "kmesh_bypass", chains)) == [])
        #expect(found(ruleset(.ip, "kmesh_bypass", chains)).count == 1)
        #expect(found(ruleset(.inet, "other", chains)).count == 1)
    }
}
