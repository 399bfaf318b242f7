import Testing

@testable import Netfilter

@Suite struct RedirectTests {
    private static let nat = BaseChain(type: "nat", hook: .output, priority: -100)

    private typealias Chains = [(String, BaseChain?, [Ruleset.Expression])]

    private static let interest = Ruleset.Interest(
        pin: "/sys/fs/bpf/bypass", table: (.inet, "kmesh_bypass"), chains: [ChainName(.inet, "kmesh_bypass", "output")])

    /// A table of a ruleset, and what is in it: chains as name, base and rules, each rule one expression.
    private struct Sample {
        var table: Ruleset.Table
        var chains: [Ruleset.Chain] = []
        var scan = RulesetScan(for: interest)

        init(_ family: Family, _ name: String, _ chains: Chains) {
            table = .init(family: family, name: name, use: 0)
            for (name, base, expressions) in chains {
                let chain = ChainName(family, table.name, name)
                self.chains.append(.init(name: chain, base: base, use: 0))
                let key = ChainGraph.key(name)
                for expression in expressions {
                    var rules = ChainGraph.Chain(ruleCount: 1)
                    switch expression {
                    case .jump(let target): scan.graph.addJump(from: key, to: ChainGraph.key(target))
                    case .verdictMap: rules.effects = .verdictMap
                    case .destinationNat: rules.effects = .destinationNat
                    case .transparentProxy: rules.effects = .transparentProxy
                    case .sets: rules.effects = .mark
                    default: break
                    }
                    scan.graph.add(rules, to: key)
                }
            }
            scan.graph.finish()
        }
    }

    private func ruleset(_ samples: Sample...) -> Ruleset {
        var ruleset = Ruleset(generation: 1, tables: samples.map(\.table))
        for sample in samples { ruleset.add(sample.scan, of: sample.table, sample.chains, Self.interest) }
        return ruleset
    }

    private func found(_ samples: Sample...) -> [Redirect] {
        samples.flatMap { ruleset($0).redirects.all }
    }

    @Test("Istio's redirect is found behind two jumps, once")
    func istio() {
        let sample = Sample(
            .ip, "nat",
            [
                ("OUTPUT", Self.nat, [.jump(to: "ISTIO_OUTPUT")]),
                ("ISTIO_OUTPUT", nil, [.returnVerdict, .jump(to: "ISTIO_REDIRECT"), .jump(to: "ISTIO_REDIRECT")]),
                ("ISTIO_REDIRECT", nil, [.destinationNat(nil)]), ("POSTROUTING", nil, [.destinationNat(.ip)]),
            ])
        let chain = ChainName(.ip, "nat", "OUTPUT")
        #expect(
            found(sample) == [.init(chain: chain, backend: .nftables, hook: .output, priority: -100, mechanism: .nat)])
    }

    @Test("Each family's chains are reported as they are", arguments: [Family.ip, .ip6, .inet])
    func families(_ family: Family) {
        let base = BaseChain(type: "nat", hook: .prerouting, priority: -105)
        let sample = Sample(family, "mesh", [("in", base, [.destinationNat(family)])])
        #expect(found(sample).map(\.chain) == [ChainName(family, "mesh", "in")])
        #expect(found(sample).map(\.priority) == [-105])
    }

    @Test("Chains that jump in a circle are each looked at once")
    func loops() {
        let circle: [(String, BaseChain?, [Ruleset.Expression])] = [
            ("OUTPUT", Self.nat, [.jump(to: "a")]), ("a", nil, [.jump(to: "b"), .jump(to: "a")]),
            ("b", nil, [.jump(to: "a"), .jump(to: "nowhere")]),
        ]
        #expect(found(Sample(.ip, "nat", circle)) == [])
        #expect(found(Sample(.ip, "nat", circle + [("b", nil, [.destinationNat(nil)])])).count == 1)
    }

    @Test("A verdict map may lead to every chain of its table")
    func verdictMap() {
        #expect(
            found(Sample(.ip, "nat", [("OUTPUT", Self.nat, [.verdictMap]), ("x", nil, [.destinationNat(nil)])])).count
                == 1)
        #expect(found(Sample(.ip, "nat", [("OUTPUT", Self.nat, [.verdictMap]), ("x", nil, [.other])])) == [])
        let other = Sample(.ip, "nat", [("OUTPUT", Self.nat, [.verdictMap]), ("in", Self.nat, [.destinationNat(nil)])])
        #expect(found(other).map(\.chain.chain) == ["in"])
    }

    @Test("A dormant table takes no connections")
    func dormant() {
        var sample = Sample(.ip, "nat", [("OUTPUT", Self.nat, [.destinationNat(nil)])])
        #expect(found(sample).count == 1)
        sample.table.isDormant = true
        #expect(found(sample) == [])
    }

    @Test("Thousands of maps and chains are looked at once each", .timeLimit(.minutes(1)))
    func manyMaps() {
        let chains =
            (0..<3000).map { ("c\($0)", nil as BaseChain?, Array(repeating: .verdictMap, count: 3)) } as Chains
        #expect(found(Sample(.ip, "nat", [("OUTPUT", Self.nat, [.verdictMap])] + chains)) == [])
    }

    /// To look from each base chain at all chains would be 16,000,000 visits.
    @Test("Thousands of base chains lead to thousands of chains, and 16 are kept", .timeLimit(.minutes(1)))
    func manyBaseChains() {
        let bases =
            (0..<4000).map { number in
                let priority = Int32((number * 7919) % 4000)
                return ("b\(number)", BaseChain(type: "nat", hook: .output, priority: priority), [.jump(to: "c0")])
            } as Chains
        let chains = (0..<4000).map { ("c\($0)", nil as BaseChain?, [.jump(to: "c\($0 + 1)")]) } as Chains
        let sample = Sample(.ip, "t", bases + chains + [("c4000", nil, [.destinationNat(nil)])])
        var redirects: [Redirect] = []
        let time = ContinuousClock().measure { redirects = found(sample) }
        #expect(redirects.map(\.priority) == Array(0..<16))
        #expect(redirects.map(\.further) == Array(repeating: 0, count: 15) + [4000 - 16])
        #expect(time < .seconds(5), "\(time)")
    }

    @Test("More chains and jumps than are kept are not taken for none")
    func tooLarge() {
        var sample = Sample(.ip, "nat", [("OUTPUT", Self.nat, [.other])])
        for number in 0..<ChainGraph.maxSize { sample.scan.graph.addJump(from: number, to: number + 1) }
        #expect(ruleset(sample).unreadable.map(\.rules) == ["ip nat"])
    }

    @Test("A redirect that no packet comes to does not count")
    func unreachable() {
        #expect(found(Sample(.ip, "nat", [("OUTPUT", Self.nat, [.other]), ("x", nil, [.destinationNat(nil)])])) == [])
        // A chain of the same name in another table is another chain.
        let here = Sample(.ip, "nat", [("OUTPUT", Self.nat, [.jump(to: "x")])])
        for (family, table) in [(Family.ip, "other"), (.ip6, "nat")] {
            #expect(ruleset(here, Sample(family, table, [("x", nil, [.destinationNat(nil)])])).redirects.isEmpty)
        }
    }

    private static let places: [(String, Hook, Ruleset.Expression, Redirect.Mechanism?)] = [
        ("nat", .prerouting, .destinationNat(nil), .nat), ("nat", .output, .destinationNat(.ip), .nat),
        ("nat", .input, .destinationNat(.ip), nil), ("nat", .postrouting, .destinationNat(.ip), nil),
        ("filter", .output, .destinationNat(.ip), nil), ("filter", .prerouting, .transparentProxy, .transparentProxy),
        ("filter", .output, .transparentProxy, nil), ("filter", .forward, .transparentProxy, nil),
        ("route", .output, .sets(.packet), .mark), ("filter", .output, .sets(.packet), nil),
        ("filter", .prerouting, .sets(.packet), nil), ("route", .output, .destinationNat(.ip), nil),
        ("nat", .output, .other, nil), ("nat", .output, .matchBPF(pin: "/sys/fs/bpf/bypass"), nil),
    ]

    @Test("Where and what a chain is decides what it can take", arguments: places)
    func hooks(_ type: String, _ hook: Hook, _ expression: Ruleset.Expression, _ mechanism: Redirect.Mechanism?) {
        let base = BaseChain(type: type, hook: hook, priority: 0)
        #expect(
            found(Sample(.ip, "t", [("c", base, [expression])])).map(\.mechanism) == (mechanism.map { [$0] } ?? []))
    }

    @Test("Our own table takes no connections; one of its name in another family is another program's")
    func ownTable() {
        let chains = [("output", Self.nat as BaseChain?, [Ruleset.Expression.destinationNat(.ip)])]
        #expect(found(Sample(.inet, "kmesh_bypass", chains)) == [])
        #expect(found(Sample(.ip, "kmesh_bypass", chains)).count == 1)
        #expect(found(Sample(.inet, "other", chains)).count == 1)
    }
}
