@testable import Bypass

/// A network namespace and its entry in the map, as far as plans and the programs of others can change them.
///
/// Refuses what nf_tables refuses, and never carries out half a batch.
struct ModelNamespace: Hashable, Sendable {
    struct Rule: Hashable, Sendable {
        var handle: UInt64
        var isOurs: Bool
        /// Made with a program whose map no one looks into any more: it never says yes.
        var isStale = false
        var traffic = Traffic.all
    }

    struct Table: Hashable, Sendable {
        var chains: PairMap<Hook, [Rule]> = [:]
        var hasForeignObjects = false
        /// Where a chain has the name of iptables' and is another one.
        var closed: HookSet = []
    }

    struct GuardChain: Hashable, Sendable {
        var families: FamilySet
        var isStale = false
        var traffic = Traffic.all
    }

    /// Why the kernel would not do it.
    struct Refusal: Error, Hashable {
        var action: Action
    }

    var tables: PairMap<Family, Table> = [:]
    var guardChains: PairMap<Hook, GuardChain>?
    struct MaskHalf: Hashable, Sendable {
        var mask: Mask
        var isStale = false
    }

    var maskChains: PairMap<MaskChain, MaskHalf> = [:]
    /// What the mesh takes by TPROXY.
    var tproxy: Mask?
    /// Something of another program's is in the guard's table.
    var isGuardShared = false
    var entry: MapEntry?
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
                    ownTraffic: rules.first(where: \.isOurs)?.traffic ?? .all,
                    hasForeignRules: rules.contains { !$0.isOurs }, isClosed: table.closed.contains(hook))
            }
        }
        observation.guardChains = guardChains?.mapValues { .intact($0.families, $0.traffic) }
        observation.maskChains = maskChains.mapValues { .intact($0.mask) }
        if let tproxy {
            var redirect = Observation.Redirect.tproxy(tproxy.families)
            redirect.takesDatagrams = tproxy.hidesDatagrams
            observation.redirects = [redirect]
        }
        observation.isGuardShared = isGuardShared
        return observation
    }

    /// The places whose new connections pass the sidecar by: to the namespace itself, and from it.
    var direct: Set<NATChain> { Set(NATChain.all.filter { isDirect($0, $0.hook) }) }

    /// The families of which connections that are only forwarded pass the sidecar by.
    var forwarded: FamilySet { FamilySet(Family.allCases.filter { isDirect(NATChain($0, .prerouting), .output) }) }

    private func isDirect(_ natChain: NATChain, _ direction: Hook) -> Bool {
        guard let entry, entry.isLive(at: now) else { return false }
        if let chain = guardChains?[natChain.hook], chain.families.contains(natChain.family), !chain.isStale,
            chain.traffic.includes(direction, at: natChain.hook)
        {
            return true
        }
        guard let first = tables[natChain.family]?.chains[natChain.hook]?.first else { return false }
        return first.isOurs && !first.isStale && first.traffic.includes(direction, at: natChain.hook)
    }

    /// Whether the sidecar does not see new inbound connections by TPROXY.
    var isMasked: Bool {
        guard let entry, entry.isLive(at: now) else { return false }
        return MaskChain.all.allSatisfy { maskChains[$0].map { !$0.isStale } ?? false }
    }

    /// Whether TPROXY takes something of these families that a mask would hide.
    func isExposed(_ families: FamilySet) -> Bool {
        guard var tproxy else { return false }
        tproxy.families.formIntersection(families)
        if tproxy.families.isEmpty { return false }
        return !isMasked || !MaskChain.all.allSatisfy { maskChains[$0]?.mask.covers(tproxy) == true }
    }

    /// The same with handles that do not remember how it came to be: for comparing.
    var canonical: ModelNamespace {
        var copy = self
        copy.lastHandle = 0
        for natChain in NATChain.all {
            guard let rules = copy.tables[natChain.family]?.chains[natChain.hook] else { continue }
            let renumbered = rules.map { rule in
                Rule(
                    handle: copy.nextHandle(), isOurs: rule.isOurs, isStale: rule.isStale, traffic: rule.traffic)
            }
            copy.tables[natChain.family]?.chains[natChain.hook] = renumbered
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
        case .createTable(let family):
            try check(tables[family] == nil)
            tables[family] = Table()
        case .createChain(let natChain):
            try check(tables[natChain.family] != nil && tables[natChain.family]?.chains[natChain.hook] == nil)
            tables[natChain.family]?.chains[natChain.hook] = []
        case .insertRule(let natChain, let traffic):
            let table = tables[natChain.family]
            try check(table?.chains[natChain.hook] != nil && table?.closed.contains(natChain.hook) == false)
            let rule = Rule(handle: nextHandle(), isOurs: true, traffic: traffic)
            tables[natChain.family]?.chains[natChain.hook]?.insert(rule, at: 0)
        case .deleteRule(let natChain, let handle):
            let index = tables[natChain.family]?.chains[natChain.hook]?.firstIndex { $0.handle == handle }
            try check(index != nil)
            if let index { tables[natChain.family]?.chains[natChain.hook]?.remove(at: index) }
        case .deleteChain(let natChain):
            let table = tables[natChain.family]
            try check(table?.chains[natChain.hook] == [] && table?.closed.contains(natChain.hook) == false)
            tables[natChain.family]?.chains[natChain.hook] = nil
        case .deleteTable(let family):
            try check(tables[family] != nil)
            tables[family] = nil
        case .createGuardTable:
            try check(guardChains == nil)
            guardChains = [:]
        case .createGuardChain(let hook, let families, let traffic):
            try check(guardChains != nil && guardChains?[hook] == nil)
            guardChains?[hook] = GuardChain(families: FamilySet(families), traffic: traffic)
        case .replaceGuardRules(let hook, let families, let traffic):
            try check(guardChains?[hook] != nil)
            guardChains?[hook] = GuardChain(families: FamilySet(families), traffic: traffic)
        case .deleteGuardChain(let hook):
            try check(guardChains?[hook] != nil)
            guardChains?[hook] = nil
        case .deleteGuardTable:
            try check(guardChains != nil && !isGuardShared)
            guardChains = nil
            maskChains = [:]
        case .createMask(let mask):
            try check(guardChains != nil && maskChains.isEmpty)
            maskChains = [.mask: MaskHalf(mask: mask), .unmask: MaskHalf(mask: Mask(mask.families))]
        case .deleteMaskChain(let chain):
            try check(maskChains[chain] != nil)
            maskChains[chain] = nil
        case .setEntry(let entry): self.entry = entry
        case .removeEntry: entry = nil
        }
    }
}

extension Observation.Redirect {
    static func tproxy(_ families: FamilySet) -> Self { tproxy(priority: Guard.maskedPriority, families) }

    static func tproxy(priority: Int32 = Guard.maskedPriority, _ families: FamilySet = [.ip]) -> Self {
        Self(
            mechanism: .transparentProxy, hook: .prerouting, families: families, priority: priority, natChain: nil,
            name: "ip mangle PREROUTING")
    }
}

extension NATChain {
    static let all = Family.allCases.flatMap { family in Hook.allCases.map { NATChain(family, $0) } }
}
