/// How to get from what was observed to what is wanted.
///
/// Pure: `on`, `off`, repair, expiry and recovery are this with another wish. The steps' order is what makes a crash
/// harmless: until the last step of `on` and from the first step of `off` the matcher says no, so that rules alone do
/// nothing; and an entry, with what is made, is written before anything is made and goes after everything else has gone,
/// so that the next daemon finds every namespace in which something is left.
public struct Plan: Hashable, Sendable {
    public private(set) var actions: [Action] = []

    /// - Parameter families: those that the kernel can do nat for.
    public init(for wish: Wish, given observation: Observation, families: [Family] = Family.allCases) {
        switch wish {
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
        // nobody knows whether that program looks into this map: such rules are made anew.
        let trusted = observation.entry.map { $0.isCurrent && !$0.hooks.isEmpty } ?? false
        var made = observation.standing
        var ruleset: [Action] = []
        for family in families {
            var makes: [Action] = []
            if observation.tables[family] == nil && !hooks.isEmpty {
                makes.append(.makeTable(family))
                made.insert(.table(family))
            }
            for hook in Hook.allCases {
                let place = Place(family, hook)
                if hooks.contains(hook) {
                    if observation.chain(place) == nil {
                        makes.append(.makeChain(place))
                        made.insert(.chain(place))
                    }
                    makes += Self.putFirst(place, observation.chain(place), trusted)
                } else {
                    makes += Self.clear(place, observation, &made)
                }
            }
            ruleset += makes
        }
        ruleset += Self.guardChains(hooks, observation, trusted, families)

        let entry = Entry(deadline: deadline, hooks: hooks, made: made)
        let isPrepared = observation.entry.map { made.isSubset(of: $0.made) } ?? ruleset.isEmpty
        if !isPrepared {
            var prepared = observation.entry ?? Entry(deadline: Entry.passed, hooks: [])
            prepared.made.formUnion(made)
            actions.append(.setEntry(prepared))
        }
        actions += ruleset
        if entry != observation.entry || !actions.isEmpty { actions.append(.setEntry(entry)) }
    }

    /// Our rule once, and at the chain's head.
    private static func putFirst(_ place: Place, _ chain: Observation.Chain?, _ trusted: Bool) -> [Action] {
        guard let chain else { return [.insertRule(place)] }
        if chain.isClosed { return chain.own.map { .deleteRule(place, handle: $0) } }
        let kept = trusted && chain.ownIsFirst ? 1 : 0
        let insert: [Action] = kept == 0 ? [.insertRule(place)] : []
        return insert + chain.own.dropFirst(kept).map { .deleteRule(place, handle: $0) }
    }

    /// A hook that stays keeps its guard untouched: no packet may find it gone for a moment.
    private static func guardChains(
        _ hooks: Set<Hook>, _ observation: Observation, _ trusted: Bool, _ families: [Family]
    ) -> [Action] {
        func make(_ hook: Hook) -> Action { .makeGuardChain(hook, families) }
        let wanted = Hook.allCases.filter(hooks.contains)
        guard let present = observation.guardChains else { return [.makeGuardTable] + wanted.map(make) }
        let whole = present.values.allSatisfy { $0.covers(families) }
        if !trusted || !whole {
            return remove(present, observation) + (observation.isGuardShared ? [] : [.makeGuardTable])
                + wanted.map(make)
        }
        return wanted.filter { present[$0] == nil }.map(make)
            + Hook.allCases.filter { !hooks.contains($0) && present[$0] != nil }.map { .deleteGuardChain($0) }
    }

    /// The guard as a whole, or what is ours of a table in which something is somebody else's.
    private static func remove(_ present: [Hook: Observation.GuardChain], _ observation: Observation) -> [Action] {
        guard observation.isGuardShared else { return [.deleteGuardTable] }
        return Hook.allCases.filter { present[$0] != nil }.map { .deleteGuardChain($0) }
    }

    // MARK: off

    private mutating func planOff(_ observation: Observation, _ families: [Family]) {
        var made = observation.standing
        var ruleset: [Action] = []
        // With an entry there is a guard of ours, whatever somebody has made of its rules.
        if let present = observation.guardChains, observation.isGuardOurs || observation.entry != nil {
            ruleset = Self.remove(present, observation)
        }
        for family in families {
            for hook in Hook.allCases { ruleset += Self.clear(Place(family, hook), observation, &made) }
            if Self.isOursAlone(family, observation, made: observation.entry?.made ?? []) {
                ruleset.append(.deleteTable(family))
            }
        }
        if var entry = observation.entry {
            if entry.isLive(at: observation.now) {
                entry.deadline = Entry.passed
                actions.append(.setEntry(entry))
            }
            actions += ruleset
            actions.append(.removeEntry)
        } else {
            actions += ruleset
        }
    }

    /// Our rules out of a chain; and the chain, if we made it and nobody else has put anything in.
    private static func clear(_ place: Place, _ observation: Observation, _ made: inout Set<Made>) -> [Action] {
        guard let chain = observation.chain(place) else { return [] }
        var actions: [Action] = chain.own.map { .deleteRule(place, handle: $0) }
        if made.contains(.chain(place)) && !chain.hasForeignRules {
            actions.append(.deleteChain(place))
            made.remove(.chain(place))
        }
        return actions
    }

    private static func isOursAlone(_ family: Family, _ observation: Observation, made: Set<Made>) -> Bool {
        guard let table = observation.tables[family], made.contains(.table(family)), !table.hasForeignObjects else {
            return false
        }
        return table.chains.allSatisfy { hook, chain in
            made.contains(.chain(Place(family, hook))) && !chain.hasForeignRules && !chain.isClosed
        }
    }
}
