internal import Bypass
internal import Netfilter
internal import Synchronization

/// What is known of a namespace's ruleset, and of which ruleset: as long as namespace and generation are the same, the
/// kernel holds just that, and need not be asked for it again.
struct NamespaceView: Sendable {
    /// The namespace's own number, never given twice: an inode number can be.
    var cookie: UInt64
    var generation: UInt32
    /// Without what is not in nf_tables: the entry, the time, legacy tables.
    var observation: Observation
    /// Our rules.
    var rules: [Ruleset.Rule]

    init(_ ruleset: Ruleset, cookie: UInt64, pin: String) {
        self.cookie = cookie
        generation = ruleset.generation
        observation = Observation(ruleset, pin: pin)
        rules = ruleset.rules.filter {
            $0.isOurs(pin) && RuleForms.places.contains($0.chain)
                || ($0.chain.family, $0.chain.table) == RuleForms.guardTable
        }
    }

    /// Carries over a batch that the kernel has carried out on this generation.
    ///
    /// - Parameter made: for each action of the batch, the rules that the kernel says it made.
    /// - Returns: false if the ruleset has to be read again.
    mutating func apply(_ batch: ArraySlice<Action>, made: [[Ruleset.Rule]]) -> Bool {
        generation &+= 1
        if generation == 0 { generation = 1 }  // as nf_tables_commit counts
        for (action, ruleset) in zip(batch, made) {
            guard observation.apply(action, handle: ruleset.first?.handle) else { return false }
            if case .insertRule = action { rules = ruleset + rules } else { rules += ruleset }
            rules.removeAll { $0.isGone(after: action) }
        }
        return true
    }
}

extension Ruleset.Rule {
    fileprivate func isGone(after action: Action) -> Bool {
        switch action {
        case .deleteRule(let place, let handle): chain == place.chainName && self.handle == handle
        case .deleteChain(let place): chain == place.chainName
        case .deleteTable(let family): (chain.family, chain.table) == (family.netfilter, RuleForms.natTable)
        case .deleteGuardChain(let hook): chain == hook.guardChain
        case .deleteGuardTable: (chain.family, chain.table) == RuleForms.guardTable
        default: false
        }
    }
}

/// The views of the namespaces that were worked on, by inode.
public final class NamespaceViews: Sendable {
    private let views = Mutex<[UInt64: NamespaceView]>([:])
    private static let most = 4096

    public init() {}

    func view(of inode: UInt64, cookie: UInt64?) -> NamespaceView? {
        guard let view = views.withLock({ $0[inode] }), view.cookie == cookie else { return nil }
        return view
    }

    func keep(_ view: NamespaceView, of inode: UInt64) {
        views.withLock { views in
            // Any of them can be read again; which one goes matters little.
            if views.count >= Self.most, views[inode] == nil, let other = views.keys.first { views[other] = nil }
            views[inode] = view
        }
    }

    /// To be called when the namespace is gone.
    public func forget(_ inode: UInt64) {
        views.withLock { $0[inode] = nil }
    }
}
