extension Observation {
    /// What is observed after an action in the ruleset that the kernel has carried out, with nothing else in between.
    ///
    /// - Parameter handle: of the rule that `insertRule` made.
    /// - Returns: false if that cannot be told without looking.
    public mutating func apply(_ action: Action, handle: UInt64?) -> Bool {
        switch action {
        case .makeTable(let family): tables[family] = tables[family] ?? Table()
        case .makeChain(let place): tables[place.family]?.chains[place.hook] = Chain()
        case .insertRule(let place):
            guard let handle else { return false }
            tables[place.family]?.chains[place.hook]?.own.insert(handle, at: 0)
            tables[place.family]?.chains[place.hook]?.ownIsFirst = true
        case .deleteRule(let place, let handle):
            guard var chain = chain(place), let index = chain.own.firstIndex(of: handle) else { return false }
            chain.own.remove(at: index)
            // Which rule is first now depends on where the others stand.
            if index == 0 && chain.ownIsFirst && !chain.own.isEmpty { return false }
            chain.ownIsFirst = chain.ownIsFirst && index != 0
            tables[place.family]?.chains[place.hook] = chain
        case .deleteChain(let place): tables[place.family]?.chains[place.hook] = nil
        case .deleteTable(let family): tables[family] = nil
        case .makeGuardTable:
            guardChains = guardChains ?? [:]
            isGuardOurs = true
        case .makeGuardChain(let hook, let families): guardChains?[hook] = .intact(Set(families))
        case .deleteGuardChain(let hook): guardChains?[hook] = nil
        case .deleteGuardTable:
            guardChains = nil
            isGuardShared = false
            isGuardOurs = true
        case .setEntry(let entry): self.entry = entry
        case .removeEntry: entry = nil
        }
        return true
    }
}
