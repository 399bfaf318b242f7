internal import Bypass
internal import Linux
internal import Netfilter
internal import Synchronization

/// What is known of a namespace's ruleset, and of which ruleset: as long as namespace and generation are the same, the
/// kernel holds just that, and need not be asked for it again.
struct CachedRuleset: Sendable {
    /// The namespace's own number, never given twice: an inode number can be.
    var cookie: UInt64
    var generation: UInt32
    /// Without what is not in nf_tables: the entry, the time, legacy tables, and what routing does with marks.
    var observation: Observation
    /// The chains that mark packets which leave.
    let marking: [Redirect]
    /// Our rules that count, as they were read last: what else stands is known by the generation.
    var rules: [Ruleset.CountedRule]
    /// The effect of other programs' rules on flows.
    let nat: NatRules
    /// Whether it may be another one without a new generation: there are tables with an owner, with whose socket the kernel
    /// removes them, or a part could not be read for want of memory.
    let isTemporary: Bool
    let hasTransparentProxy: Bool

    /// Whether it is what the kernel holds for as long as the generation is the same. Not if it was changed while it was
    /// read. Chains of a network interface go with that without a new generation too: they matter in the guard's table.
    var isLasting: Bool { observation.isSettled && !isTemporary && !observation.isGuardShared }

    init(_ ruleset: Ruleset, cookie: UInt64, pin: String, masks: [PreparedMask]) {
        self.cookie = cookie
        generation = ruleset.generation
        observation = Observation(ruleset, pin: pin, masks: masks)
        isTemporary = ruleset.tables.contains(where: \.hasOwner) || ruleset.lacksMemory
        hasTransparentProxy = observation.redirects.contains { $0.mechanism == .transparentProxy }
        nat = ruleset.nat
        marking = ruleset.redirects.all.filter { $0.mechanism == .mark }
        rules = ruleset.rules.filter {
            $0.isOurs(pin) && RuleTemplates.natChains.contains($0.chain)
                || $0.hasCounter && ($0.chain.family, $0.chain.table) == RuleTemplates.guardTable
        }.map(Ruleset.CountedRule.init)
    }

    /// Applies a batch that the kernel has executed on this generation.
    ///
    /// - Parameters:
    ///   - operations: those of each action.
    ///   - created: for each operation of the batch, the handle of the rule that the kernel says it made; 0 for none.
    /// - Returns: how many rules that count are new; nil if the ruleset has to be read again.
    mutating func apply(
        _ batch: ArraySlice<Action>, _ operations: PreparedOperations, created handles: [UInt64]
    ) -> Int? {
        generation &+= 1
        if generation == 0 { generation = 1 }  // as nf_tables_commit counts
        // No batch removes what it makes.
        for action in batch { removeRules(of: action) }
        let older = rules.count
        var next = 0
        for action in batch {
            var created: [Ruleset.CountedRule] = []
            for operation in operations[action] {
                defer { next += 1 }
                guard let rule = operation.rule, rule.hasCounter else { continue }
                // A rule that the kernel did not report is one whose counters could not be asked for.
                if handles[next] == 0 { return nil }
                created.append(Ruleset.CountedRule(chain: rule.chain, handle: handles[next]))
            }
            guard observation.apply(action, handle: created.first?.handle) else { return nil }
            switch action {
            case .insertRule: rules.insert(contentsOf: created, at: 0)
            case .createGuardChain, .createMask, .replaceGuardRules: rules += created
            case .createTable, .createChain, .createGuardTable, .setEntry, .removeEntry, .deleteRule, .deleteChain,
                .deleteTable, .deleteGuardChain, .deleteMaskChain, .deleteGuardTable:
                break
            }
        }
        return rules.count - older
    }

    /// Those that go with what an action removes.
    private mutating func removeRules(of action: Action) {
        switch action {
        case .deleteRule(let natChain, let handle):
            let chain = natChain.chainName
            rules.removeAll { $0.handle == handle && $0.chain == chain }
        case .deleteChain(let natChain): removeRules(in: natChain.chainName)
        case .deleteTable(let family): removeRules(inTable: (family.netfilter, RuleTemplates.natTable))
        case .deleteGuardChain(let hook), .replaceGuardRules(let hook, _, _): removeRules(in: hook.guardChain)
        case .deleteMaskChain(let half): removeRules(in: half.chainName)
        case .deleteGuardTable: removeRules(inTable: RuleTemplates.guardTable)
        case .createTable, .createChain, .insertRule, .createGuardTable, .createGuardChain, .createMask, .setEntry,
            .removeEntry:
            break
        }
    }

    private mutating func removeRules(in chain: ChainName) { rules.removeAll { $0.chain == chain } }

    private mutating func removeRules(inTable table: (Netfilter.Family, String)) {
        rules.removeAll { ($0.chain.family, $0.chain.table) == table }
    }
}

/// The rulesets of the namespaces that were worked on, by inode.
package final class RulesetCache: Sendable {
    private struct State {
        var rulesets: [UInt64: CachedRuleset] = [:]
        /// Their approximate size.
        var bytes = 0

        mutating func remove(_ inode: UInt64) {
            if let old = rulesets.removeValue(forKey: inode) { bytes -= old.size }
        }
    }

    private let state = Monitor(State())
    /// Whether the kernel has refused the mask, and not made one since. What it lacks for one namespace it lacks for all.
    let lacksMask = Atomic(false)
    private static let maxEntries = 4096
    private static let maxBytes = 8 << 20

    package init() {}

    func ruleset(of inode: UInt64, cookie: UInt64?) -> CachedRuleset? {
        guard let ruleset = state.withLock({ $0.rulesets[inode] }), ruleset.cookie == cookie else { return nil }
        return ruleset
    }

    /// Whether TPROXY was found in a namespace, or in another one with its number.
    func hasTransparentProxy(_ inode: UInt64) -> Bool {
        state.withLock { $0.rulesets[inode]?.hasTransparentProxy == true }
    }

    /// Keeps a ruleset that lasts; of another one nothing is kept.
    func insert(_ ruleset: CachedRuleset, of inode: UInt64) {
        guard ruleset.isLasting else { return remove(inode) }
        let size = ruleset.size
        state.withLock { state in
            state.remove(inode)
            // Any of them can be read again; which one goes matters little.
            while state.rulesets.count >= Self.maxEntries || state.bytes + size > Self.maxBytes,
                let other = state.rulesets.keys.first
            {
                state.remove(other)
            }
            state.rulesets[inode] = ruleset
            state.bytes += size
        }
    }

    /// To be called when the namespace is gone, or what is known of it may be wrong.
    package func remove(_ inode: UInt64) {
        state.withLock { $0.remove(inode) }
    }
}

extension CachedRuleset {
    /// About how many bytes it takes.
    fileprivate var size: Int {
        2048 + rules.count * 128 + nat.others.count * 512 + marking.count * 1024
            + observation.redirects.reduce(0) { $0 + MemoryLayout<Observation.Redirect>.stride + $1.name.utf8.count }
    }
}
