internal import Bypass
internal import Netfilter

@testable internal import Datapath

/// What is decided on a ruleset, whatever it holds: nothing that is not ours may be touched.
enum Decisions {
    static let pin = "/sys/fs/bpf/bypass"
    static let interest = RuleTemplates.interest(pin)
    private static let masks = PreparedOperations(pin: pin).masks

    static func check(_ ruleset: Ruleset) throws(BrokenPromise) {
        let seen = CachedRuleset(ruleset, cookie: 1, pin: pin, masks: masks).observation
        let created = CreatedObjectSet(
            Bypass.Family.allCases.map(CreatedObject.table) + natChains.map(CreatedObject.chain))
        for entry in [nil, MapEntry(deadline: 0, hooks: HookSet(Bypass.Hook.allCases), created: created)] {
            var observation = seen
            observation.entry = entry
            _ = Health(observation).warnings.map(\.message)
            for desired in [
                DesiredState.off, .on(HookSet(Bypass.Hook.allCases), deadline: 0), .on([.output], deadline: 5),
                .on([.prerouting], deadline: 5),
            ] {
                let actions = Plan(for: desired, given: observation).actions
                for action in actions { try check(action, ruleset) }
                let operations = actions.flatMap { RuleTemplates.operations(for: $0, pin: pin) }
                _ = Transaction(operations).operations.map(\.description)
            }
        }
    }

    private static let natChains = Bypass.Family.allCases.flatMap { family in
        Bypass.Hook.allCases.map { NATChain(family, $0) }
    }

    private static func check(_ action: Action, _ ruleset: Ruleset) throws(BrokenPromise) {
        switch action {
        case .deleteRule(let natChain, let handle):
            let isOurs = ruleset.rules.contains {
                $0.chain == natChain.chainName && $0.handle == handle && $0.isOurs(pin)
            }
            try promise(isOurs, "\(action) deletes a rule of another program in \(ruleset)")
        case .insertRule(let natChain, _):
            guard let chain = ruleset.chains.first(where: { $0.name == natChain.chainName }) else { break }
            let isNat = chain.base?.type == "nat" && chain.base?.hook == natChain.hook.netfilter
            try promise(isNat, "\(action) changes what a chain of another program does, in \(ruleset)")
        case .deleteGuardTable:
            let own = Bypass.Hook.allCases.map(\.guardChain)
            let table = ruleset.tables.first { ($0.family, $0.name) == RuleTemplates.guardTable }
            let count = own.count { name in ruleset.chains.contains { $0.name == name } }
            try promise(Int(table?.use ?? 0) <= count, "\(action) deletes what is another program's, in \(ruleset)")
        default: break
        }
    }
}
