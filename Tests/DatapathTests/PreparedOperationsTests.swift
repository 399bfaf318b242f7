import Bypass
import Testing

@testable import Datapath
@testable import Netfilter

/// Messages that are built once are what libnftnl would build each time.
@Suite struct PreparedOperationsTests {
    private static let pin = "/sys/fs/bpf/kmesh/bypass"
    private let prepared = PreparedOperations(pin: pin)

    private func expectSame(_ actions: [Action], sourceLocation: SourceLocation = #_sourceLocation) {
        let operations = actions.flatMap { RuleTemplates.operations(for: $0, pin: Self.pin) }
        for generation: UInt32? in [nil, 0x0102_0304] {
            let built = Transaction(operations).prepared.encoded(sequence: 0x64, generation: generation).bytes
            let sent = prepared.transaction(of: actions[...]).encoded(sequence: 0x64, generation: generation).bytes
            #expect(sent == built, "\(actions)", sourceLocation: sourceLocation)
        }
        #expect(actions.map { prepared[$0].count }.reduce(0, +) == operations.count, sourceLocation: sourceLocation)
    }

    @Test("Each action by itself", arguments: Action.samples)
    func single(_ action: Action) {
        expectSame([action])
        #expect(!prepared.transaction(of: [action]).operations.isEmpty)
    }

    @Test("No two actions have one place")
    func distinct() {
        let batches = Action.samples.map { prepared.transaction(of: [$0]).encoded(sequence: 1, generation: 1).bytes }
        #expect(Set(batches).count == Action.samples.count)
    }

    @Test("Handles, flags and numbers are those of this batch")
    func batches() {
        let natChain = NATChain(.ip, .output)
        expectSame([.deleteRule(natChain, handle: 7), .deleteRule(NATChain(.ip6, .output), handle: .max)])
        expectSame([.insertRule(natChain), .deleteRule(natChain, handle: 0x1122_3344_5566_7788), .insertRule(natChain)])
        expectSame(Action.samples + Action.samples)
        expectSame([.createGuardTable, .createGuardChain(.output, [.ip, .ip6]), .deleteGuardTable])
    }

    @Test("What is not in the ruleset is not an operation")
    func outsideRuleset() {
        expectSame([.removeEntry, .setEntry(MapEntry(deadline: 0, hooks: [.output]))])
    }

    @Test("An error names the rule that was to be deleted")
    func names() {
        let natChain = NATChain(.ip, .output)
        let transaction = prepared.transaction(of: [
            .deleteRule(natChain, handle: 7), .insertRule(natChain), .deleteRule(natChain, handle: 9),
        ])
        #expect(
            (0..<3).map { transaction.operation(at: $0).description } == [
                "DELRULE ip nat OUTPUT handle 7", "NEWRULE ip nat OUTPUT", "DELRULE ip nat OUTPUT handle 9",
            ])
    }

    @Test("What the kernel will hold is known beforehand, but for the handle")
    func rules() {
        let guardChain = prepared.transaction(of: [.createGuardChain(.output, [.ip6])]).operations
        #expect(guardChain.map { $0.rule?.expressions.count } == [nil, 6])
        #expect(guardChain.last?.rule?.guarded(Self.pin)?.family == .ip6)
        for traffic in Traffic.allCases {
            let replaced = prepared.transaction(of: [.replaceGuardRules(.prerouting, [.ip, .ip6], traffic)]).operations
            #expect(replaced.map { $0.rule?.guarded(Self.pin)?.family } == [nil, .ip, .ip6])
            #expect(replaced.map { $0.rule?.guarded(Self.pin)?.traffic } == [nil, traffic, traffic])
        }
        let local = prepared.transaction(of: [.insertRule(NATChain(.ip, .prerouting), .local)]).operations
        #expect(local.map { $0.rule?.isOurs(Self.pin) } == [true] && local.map { $0.rule?.ownTraffic } == [.local])
        let insert = prepared.transaction(of: [.insertRule(NATChain(.ip6, .prerouting))]).operations
        #expect(insert.map { $0.rule?.isOurs(Self.pin) } == [true])
        #expect(insert.first?.rule?.chain == NATChain(.ip6, .prerouting).chainName)
    }

    @Test("A mask is recognized by the rules that it is made of, and taken for no other", arguments: Mask.all)
    func masks(_ mask: Mask) {
        for chain in MaskChain.all {
            var made = prepared.transaction(of: [.createMask(mask)]).operations.compactMap(\.rule)
                .filter { $0.chain == chain.chainName }
            for index in made.indices { made[index].counted = (7, 420) }
            let found = prepared.masks.filter { $0.isMade(of: made, in: chain.chainName) }.map(\.mask)
            // What is written back is so for all that a family's mask can hide.
            let expected = Mask.all.filter { chain == .mask ? $0 == mask : $0.families == mask.families }
            #expect(found == expected)
            made.removeLast()
            #expect(!prepared.masks.contains { $0.isMade(of: made, in: chain.chainName) && $0.mask == mask })
        }
    }
}
