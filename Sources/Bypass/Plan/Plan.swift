internal import BypassAPI

/// The actions that lead from the observed state to the desired one.
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
        case .on(let hooks, let scope, let deadline):
            planOn(hooks, scope, deadline: deadline, observation, families)
        case .off:
            planOff(observation, families)
        }
    }

    /// Removes what is left of a mask that is not whole: one of its two chains alone breaks connections.
    package init(removingDamagedMaskOf observation: Observation) {
        guard observation.mask == nil else { return }
        Self.removeMask(observation, &actions)
    }

    // MARK: on

    private mutating func planOn(
        _ hooks: HookSet, _ scope: Scope, deadline: UInt64, _ observation: Observation, _ families: [Family]
    ) {
        // A rule holds the program that was pinned when it was made. Without an entry of ours, finished, in the map,
        // it is unknown whether that program reads this map: such rules are replaced.
        let trusted = observation.entry.map { $0.isCurrent && !$0.hooks.isEmpty } ?? false
        var created = observation.standing
        var ruleset: [Action] = []
        ruleset.reserveCapacity(Self.usualCount)
        for family in families {
            if observation.tables[family] == nil && !hooks.isEmpty {
                ruleset.append(.createTable(family))
                created.insert(.table(family))
            }
            for hook in Hook.all {
                let natChain = NATChain(family, hook)
                // Our rule there is for inbound connections; for forwarded ones alone the guard is enough.
                if hooks.contains(hook), let traffic = hooks.traffic(at: hook) {
                    if observation.chain(natChain) == nil {
                        ruleset.append(.createChain(natChain))
                        created.insert(.chain(natChain))
                    }
                    Self.putFirst(natChain, traffic, observation.chain(natChain), trusted, &ruleset)
                } else {
                    Self.clear(natChain, observation, &created, &ruleset)
                }
            }
        }
        let mask = hooks.contains(.prerouting) ? observation.desiredMask(FamilySet(families)) : nil
        if mask != nil { created.insert(.mask) } else { created.remove(.mask) }
        Self.makeGuard(hooks, mask, observation, trusted, families, &ruleset)

        let entry = MapEntry(deadline: deadline, hooks: hooks, scope: scope, created: created)
        var prepared = observation.entry ?? MapEntry(deadline: MapEntry.expired, hooks: [], scope: scope)
        let isPrepared = observation.entry.map { created.isSubset(of: $0.created) } ?? ruleset.isEmpty
        prepared.created.formUnion(created)
        // A hook that is added never sees the old scope, and one that goes never sees the new one.
        let isNewScope = prepared.scope != scope && !hooks.isSubset(of: prepared.hooks)
        if isNewScope { prepared.scope = hooks.isDisjoint(with: prepared.hooks) ? .nothing : scope }
        actions.reserveCapacity(ruleset.count + 2)
        if !isPrepared || isNewScope { actions.append(.setEntry(prepared)) }
        actions += ruleset
        if entry != observation.entry || !actions.isEmpty { actions.append(.setEntry(entry)) }
    }

    /// The usual number of actions in a plan.
    private static let usualCount = 16

    /// Our rule once, and at the chain's head.
    private static func putFirst(
        _ natChain: NATChain, _ traffic: Traffic, _ chain: Observation.Chain?, _ trusted: Bool,
        _ actions: inout [Action]
    ) {
        guard let chain else {
            actions.append(.insertRule(natChain, traffic))
            return
        }
        let isKept = trusted && chain.ownIsFirst && chain.ownTraffic == traffic && !chain.isClosed
        if !isKept && !chain.isClosed { actions.append(.insertRule(natChain, traffic)) }
        for handle in chain.own.dropFirst(isKept ? 1 : 0) { actions.append(.deleteRule(natChain, handle: handle)) }
    }

    /// A hook that stays keeps its guard untouched: no packet may find it gone for a moment.
    private static func makeGuard(
        _ hooks: HookSet, _ mask: Mask?, _ observation: Observation, _ trusted: Bool, _ families: [Family],
        _ actions: inout [Action]
    ) {
        let covered = FamilySet(families)
        let present = observation.guardChains
        let isWhole = trusted && present?.allValues { $0.covers(covered) } ?? false
        if let present, isWhole {
            for hook in Hook.all {
                switch (present[hook], hooks.traffic(at: hook)) {
                case (nil, nil): break
                case (nil, let traffic?): actions.append(.createGuardChain(hook, families, traffic))
                case (_?, nil): actions.append(.deleteGuardChain(hook))
                case (let chain?, let traffic?):
                    if case .intact(_, traffic) = chain { continue }
                    actions.append(.replaceGuardRules(hook, families, traffic))
                }
            }
            if let mask, observation.mask == mask { return }
            removeMask(observation, &actions)
            if let mask { actions.append(.createMask(mask)) }
            return
        }
        if let present { remove(present, observation, &actions) }
        if present == nil || !observation.isGuardShared { actions.append(.createGuardTable) }
        for hook in Hook.all {
            if let traffic = hooks.traffic(at: hook) { actions.append(.createGuardChain(hook, families, traffic)) }
        }
        if let mask { actions.append(.createMask(mask)) }
    }

    private static func removeMask(_ observation: Observation, _ actions: inout [Action]) {
        for chain in MaskChain.all where observation.maskChains[chain] != nil {
            actions.append(.deleteMaskChain(chain))
        }
    }

    /// The guard as a whole, or our part of a table that holds something of another program.
    private static func remove(
        _ present: PairMap<Hook, Observation.GuardChain>, _ observation: Observation, _ actions: inout [Action]
    ) {
        guard observation.isGuardShared else {
            actions.append(.deleteGuardTable)
            return
        }
        for hook in Hook.all where present[hook] != nil { actions.append(.deleteGuardChain(hook)) }
        removeMask(observation, &actions)
    }

    // MARK: off

    private mutating func planOff(_ observation: Observation, _ families: [Family]) {
        var created = observation.standing
        var ruleset: [Action] = []
        ruleset.reserveCapacity(Self.usualCount)
        for family in families {
            for hook in Hook.all { Self.clear(NATChain(family, hook), observation, &created, &ruleset) }
            if Self.isOursAlone(family, observation, created: observation.entry?.created ?? []) {
                ruleset.append(.deleteTable(family))
            }
        }
        // With an entry there is a guard of ours, whatever its rules have become. It goes last: the kernel sends back what a
        // batch deletes first, and with a table all that was in it.
        if let present = observation.guardChains, observation.isGuardOurs || observation.entry != nil {
            Self.remove(present, observation, &ruleset)
        }
        if var entry = observation.entry {
            if entry.isLive(at: observation.now) || entry.isRefused {
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
    private static func clear(
        _ natChain: NATChain, _ observation: Observation, _ created: inout CreatedObjectSet, _ actions: inout [Action]
    ) {
        guard let chain = observation.chain(natChain) else { return }
        for handle in chain.own { actions.append(.deleteRule(natChain, handle: handle)) }
        if created.contains(.chain(natChain)) && !chain.hasForeignRules {
            actions.append(.deleteChain(natChain))
            created.remove(.chain(natChain))
        }
    }

    private static func isOursAlone(_ family: Family, _ observation: Observation, created: CreatedObjectSet) -> Bool {
        guard let table = observation.tables[family], created.contains(.table(family)), !table.hasForeignObjects else {
            return false
        }
        return Hook.all.allSatisfy { hook in
            guard let chain = table.chains[hook] else { return true }
            return created.contains(.chain(NATChain(family, hook))) && !chain.hasForeignRules && !chain.isClosed
        }
    }
}
