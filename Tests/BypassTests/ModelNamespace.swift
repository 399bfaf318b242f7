@testable import Bypass

/// A network namespace and its entry in the map, as far as plans and the programs of others can change them.
///
/// Refuses what nf_tables refuses, and never carries out half a batch.
struct ModelNamespace: Hashable, Sendable {
    struct Rule: Hashable, Sendable {
        var handle: UInt64
        var isOurs: Bool
        /// Made with a program whose map nobody looks into any more: it never says yes.
        var isStale = false
    }

    struct Table: Hashable, Sendable {
        var chains: [Hook: [Rule]] = [:]
        var hasForeignObjects = false
        /// Where a chain has the name of iptables' and is another one.
        var closed: Set<Hook> = []
    }

    struct GuardChain: Hashable, Sendable {
        var families: Set<Family>
        var isStale = false
    }

    /// Why the kernel would not do it.
    struct Refusal: Error, Hashable {
        var action: Action
    }

    var tables: [Family: Table] = [:]
    var guardChains: [Hook: GuardChain]?
    /// Something of somebody else's is in the guard's table.
    var isGuardShared = false
    var entry: Entry?
    var now: UInt64 = 10
    private(set) var lastHandle: UInt64 = 0

    mutating func nextHandle() -> UInt64 {
        lastHandle += 1
        return lastHandle
    }

    var observation: Observation {
        var observation = Observation(entry: entry, now: now)
        for (family, table) in tables {
            observation.tables[family] = .init(hasForeignObjects: table.hasForeignObjects)
            for (hook, rules) in table.chains {
                observation.tables[family]?.chains[hook] = .init(
                    own: rules.filter(\.isOurs).map(\.handle), ownIsFirst: rules.first?.isOurs ?? false,
                    hasForeignRules: rules.contains { !$0.isOurs }, isClosed: table.closed.contains(hook))
            }
        }
        observation.guardChains = guardChains?.mapValues { .intact($0.families) }
        observation.isGuardShared = isGuardShared
        return observation
    }

    /// The places whose new connections pass the sidecar by.
    var direct: Set<Place> {
        guard let entry, entry.isLive(at: now) else { return [] }
        return Set(
            Place.all.filter { place in
                if let chain = guardChains?[place.hook], chain.families.contains(place.family), !chain.isStale {
                    return true
                }
                guard let first = tables[place.family]?.chains[place.hook]?.first else { return false }
                return first.isOurs && !first.isStale
            })
    }

    /// The same with handles that do not remember how it came to be: for comparing.
    var canonical: ModelNamespace {
        var copy = self
        copy.lastHandle = 0
        for place in Place.all {
            guard let rules = copy.tables[place.family]?.chains[place.hook] else { continue }
            let renumbered = rules.map { rule in
                Rule(handle: copy.nextHandle(), isOurs: rule.isOurs, isStale: rule.isStale)
            }
            copy.tables[place.family]?.chains[place.hook] = renumbered
        }
        return copy
    }

    // MARK: actions

    /// Carries a plan out, and returns what was true after each of its steps.
    mutating func execute(_ actions: [Action]) throws(Refusal) -> [ModelNamespace] {
        var history: [ModelNamespace] = []
        for step in Self.steps(of: actions) {
            var next = self
            for action in step { try next.apply(action) }
            self = next
            history.append(next)
        }
        return history
    }

    /// What the kernel does at once: a batch, or an update of the map.
    static func steps(of actions: [Action]) -> [[Action]] {
        actions.reduce(into: []) { steps, action in
            if action.isInRuleset, let last = steps.last?.last, last.isInRuleset {
                steps[steps.count - 1].append(action)
            } else {
                steps.append([action])
            }
        }
    }

    mutating func apply(_ action: Action) throws(Refusal) {
        func check(_ isPossible: Bool) throws(Refusal) {
            if !isPossible { throw Refusal(action: action) }
        }
        switch action {
        case .makeTable(let family):
            try check(tables[family] == nil)
            tables[family] = Table()
        case .makeChain(let place):
            try check(tables[place.family] != nil && tables[place.family]?.chains[place.hook] == nil)
            tables[place.family]?.chains[place.hook] = []
        case .insertRule(let place):
            let table = tables[place.family]
            try check(table?.chains[place.hook] != nil && table?.closed.contains(place.hook) == false)
            let rule = Rule(handle: nextHandle(), isOurs: true)
            tables[place.family]?.chains[place.hook]?.insert(rule, at: 0)
        case .deleteRule(let place, let handle):
            let index = tables[place.family]?.chains[place.hook]?.firstIndex { $0.handle == handle }
            try check(index != nil)
            if let index { tables[place.family]?.chains[place.hook]?.remove(at: index) }
        case .deleteChain(let place):
            let table = tables[place.family]
            try check(table?.chains[place.hook] == [] && table?.closed.contains(place.hook) == false)
            tables[place.family]?.chains[place.hook] = nil
        case .deleteTable(let family):
            try check(tables[family] != nil)
            tables[family] = nil
        case .makeGuardTable:
            try check(guardChains == nil)
            guardChains = [:]
        case .makeGuardChain(let hook, let families):
            try check(guardChains != nil && guardChains?[hook] == nil)
            guardChains?[hook] = GuardChain(families: Set(families))
        case .deleteGuardChain(let hook):
            try check(guardChains?[hook] != nil)
            guardChains?[hook] = nil
        case .deleteGuardTable:
            try check(guardChains != nil && !isGuardShared)
            guardChains = nil
        case .setEntry(let entry): self.entry = entry
        case .removeEntry: entry = nil
        }
    }
}

extension Place {
    static let all = Family.allCases.flatMap { family in Hook.allCases.map { Place(family, $0) } }
}
