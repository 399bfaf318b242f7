/// How to get from what was observed to what is wanted.
///
/// Pure: `on`, `off`, repair, expiry and recovery are this with another desired state. The steps' order is what makes a crash
/// harmless: until the last step of `on` and from the first step of `off` the matcher says no, so that rules alone do
/// nothing; and an entry, with what is created, is written before anything is created and goes after everything else has gone,
/// so that the next daemon finds every namespace in which something is left.
package struct Plan: Hashable, Sendable {
    package private(set) var actions: [Action] = []

    /// - Parameter families: those that the kernel can do nat for.
    package init(for desired: DesiredState, given observation: Observation, families: [Family] = Family.allCases) {
        switch desired {
        case .on(let hooks, let deadline):
            planOn(hooks, deadline: deadline, observation, families)
        case .off:
            planOff(observation, families)
        }
    }

    // MARK: on

    private mutating func planOn(
        _ hooks: Set<Hook>, deadline: UInt64, _ observation: Observation, _ families: [Family]
    ) {
        // A rule holds the program that was pinned when it was made. Without an entry of ours, finished, in the map,
        // it is unknown whether that program reads this map: such rules are replaced.
        let trusted = observation.entry.map { $0.isCurrent && !$0.hooks.isEmpty } ?? false
        var created = observation.standing
        var ruleset: [Action] = []
        for family in families {
            var makes: [Action] = []
            if observation.tables[family] == nil && !hooks.isEmpty {
                makes.append(.createTable(family))
                created.insert(.table(family))
            }
            for hook in Hook.allCases {
                let natChain = NATChain(family, hook)
                if hooks.contains(hook) {
                    if observation.chain(natChain) == nil {
                        makes.append(.createChain(natChain))
                        created.insert(.chain(natChain))
                    }
                    makes += Self.putFirst(natChain, observation.chain(natChain), trusted)
                } else {
                    makes += Self.clear(natChain, observation, &created)
                }
            }
            ruleset += makes
        }
        ruleset += Self.guardChains(hooks, observation, trusted, families)

        let entry = MapEntry(deadline: deadline, hooks: hooks, created: created)
        let isPrepared = observation.entry.map { created.isSubset(of: $0.created) } ?? ruleset.isEmpty
        if !isPrepared {
            var prepared = observation.entry ?? MapEntry(deadline: MapEntry.expired, hooks: [])
            prepared.created.formUnion(created)
            actions.append(.setEntry(prepared))
        }
        actions += ruleset
        if entry != observation.entry || !actions.isEmpty { actions.append(.setEntry(entry)) }
    }

    /// Our rule once, and at the chain's head.
    private static func putFirst(_ natChain: NATChain, _ chain: Observation.Chain?, _ trusted: Bool) -> [Action] {
        guard let chain else { return [.insertRule(natChain)] }
        if chain.isClosed { return chain.own.map { .deleteRule(natChain, handle: $0) } }
        let kept = trusted && chain.ownIsFirst ? 1 : 0
        let insert: [Action] = kept == 0 ? [.insertRule(natChain)] : []
        return insert + chain.own.dropFirst(kept).map { .deleteRule(natChain, handle: $0) }
    }

    /// A hook that stays keeps its guard untouched: no packet may find it gone for a moment.
    private static func guardChains(
        _ hooks: Set<Hook>, _ observation: Observation, _ trusted: Bool, _ families: [Family]
    ) -> [Action] {
        func make(_ hook: Hook) -> Action { .createGuardChain(hook, families) }
        let wanted = Hook.allCases.filter(hooks.contains)
        guard let present = observation.guardChains else { return [.createGuardTable] + wanted.map(make) }
        let whole = present.values.allSatisfy { $0.covers(families) }
        if !trusted || !whole {
            return remove(present, observation) + (observation.isGuardShared ? [] : [.createGuardTable])
                + wanted.map(make)
        }
        return wanted.filter { present[$0] == nil }.map(make)
            + Hook.allCases.filter { !hooks.contains($0) && present[$0] != nil }.map { .deleteGuardChain($0) }
    }

    /// The guard as a whole, or our part of a table that holds something of another program.
    private static func remove(_ present: [Hook: Observation.GuardChain], _ observation: Observation) -> [Action] {
        guard observation.isGuardShared else { return [.deleteGuardTable] }
        return Hook.allCases.filter { present[$0] != nil }.map { .deleteGuardChain($0) }
    }

    // MARK: off

    private mutating func planOff(_ observation: Observation, _ families: [Family]) {
        var created = observation.standing
        var ruleset: [Action] = []
        // With an entry there is a guard of ours, whatever its rules have become.
        if let present = observation.guardChains, observation.isGuardOurs || observation.entry != nil {
            ruleset = Self.remove(present, observation)
        }
        for family in families {
            for hook in Hook.allCases { ruleset += Self.clear(NATChain(family, hook), observation, &created) }
            if Self.isOursAlone(family, observation, created: observation.entry?.created ?? []) {
                ruleset.append(.deleteTable(family))
            }
        }
        if var entry = observation.entry {
            if entry.isLive(at: observation.now) {
                entry.deadline = MapEntry.expired
                actions.append(.setEntry(entry))
            }
            actions += ruleset
            actions.append(.removeEntry)
        } else {
            actions += ruleset
        }
    }

    /// Our rules out of a chain; and the chain, if we made it and no other program has added to it.
    private static func clear(_ natChain: NATChain, _ observation: Observation, _ created: inout Set<CreatedObject>)
        -> [Action]
    {
        guard let chain = observation.chain(natChain) else { return [] }
        var actions: [Action] = chain.own.map { .deleteRule(natChain, handle: $0) }
        if created.contains(.chain(natChain)) && !chain.hasForeignRules {
            actions.append(.deleteChain(natChain))
            created.remove(.chain(natChain))
        }
        return actions
    }

    private static func isOursAlone(_ family: Family, _ observation: Observation, created: Set<CreatedObject>) -> Bool {
        guard let table = observation.tables[family], created.contains(.table(family)), !table.hasForeignObjects else {
            return false
        }
        return table.chains.allSatisfy { hook, chain in
            created.contains(.chain(NATChain(family, hook))) && !chain.hasForeignRules && !chain.isClosed
        }
    }
}
