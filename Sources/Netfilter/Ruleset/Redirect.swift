/// A base chain that takes connections to a proxy.
package struct Redirect: Hashable, Sendable {
    package enum Mechanism: Hashable, Sendable {
        /// Destination nat: `redirect`, `dnat`.
        case nat
        /// TPROXY, which leaves the packet's address alone: no nat rule touches it.
        case transparentProxy
        /// Gives packets that leave a mark. If a rule of the routing policy sends that mark to `lo`, TPROXY takes them
        /// there.
        case mark
    }

    /// Where packets come in that a redirect in PREROUTING takes, and where those leave that a rule in OUTPUT marks.
    package struct Sources: OptionSet, Hashable, Sendable {
        package var rawValue: UInt8

        package init(rawValue: UInt8) { self.rawValue = rawValue }

        /// Any interface but `lo`.
        package static let outside = Sources(rawValue: 1)
        /// `lo`: the namespace itself has sent them.
        package static let loopback = Sources(rawValue: 2)
        /// An interface that a rule names, and not `lo`: it may be that of a virtual machine or an inner container.
        package static let namedInterface = Sources(rawValue: 4)
    }

    /// The origin of the rules.
    package enum Backend: Hashable, Sendable {
        /// nf_tables: `nft`, iptables-nft.
        case nftables
        /// x_tables' own tables: iptables-legacy.
        case legacy
    }

    package var chain: ChainName
    package var backend: Backend
    package var hook: Hook
    package var priority: Int32
    package var mechanism: Mechanism
    package var sources: Sources
    /// Whether it may take more than TCP, of what comes in from outside. Known of TPROXY alone.
    package var takesDatagrams = true
    /// What its rules do to marks, if that is its mechanism; with those of `further`.
    package var marks = MarkChanges()
    /// The number of redirects of the same kind, of the same priority or later, that are not kept.
    package var further = 0

    package init(
        chain: ChainName, backend: Backend, hook: Hook, priority: Int32, mechanism: Mechanism,
        sources: Sources = [.outside, .loopback]
    ) {
        self.chain = chain
        self.backend = backend
        self.hook = hook
        self.priority = priority
        self.mechanism = mechanism
        self.sources = sources
    }
}

/// The packets that a rule is for, by the interface that they come in by, or leave by in OUTPUT.
enum InputInterface: UInt32 {
    case any, loopback, named

    /// Where packets come in that such a rule hands to something that takes these.
    func narrowing(_ sources: Redirect.Sources) -> Redirect.Sources {
        switch self {
        case .any: sources
        case .loopback: sources.intersection(.loopback)
        case .named: sources.contains(.outside) ? [.outside, .namedInterface] : []
        }
    }

    /// The packets that two rules one after the other are for; nil for none.
    func narrowed(by other: InputInterface) -> InputInterface? {
        switch (self, other) {
        case (.any, _): other
        case (_, .any), (.loopback, .loopback), (.named, .named): self
        case (.loopback, .named), (.named, .loopback): nil
        }
    }
}

/// The redirects of a namespace. Of a kind (mechanism, hook, family, backend) those are kept that are evaluated first; the
/// last of them says how many more there are.
package struct Redirects: Hashable, Sendable {
    private struct Kind: Hashable {
        var mechanism: Redirect.Mechanism
        var hook: Hook
        var family: Family
        var backend: Redirect.Backend
    }

    private var byKind: [Kind: [Redirect]] = [:]

    package static let maxOfKind = 16

    package init() {}

    package var isEmpty: Bool { byKind.isEmpty }

    /// In the order in which they are evaluated.
    package var all: [Redirect] {
        byKind.values.flatMap(\.self).sorted {
            ($0.hook.rawValue, $0.priority, $0.chain.family.rawValue, $0.chain.table, $0.chain.chain)
                < ($1.hook.rawValue, $1.priority, $1.chain.family.rawValue, $1.chain.table, $1.chain.chain)
        }
    }

    package mutating func insert(_ redirect: Redirect) {
        let kind = Kind(
            mechanism: redirect.mechanism, hook: redirect.hook, family: redirect.chain.family,
            backend: redirect.backend)
        byKind[kind, default: []].insert(sorted: redirect)
    }
}

extension [Redirect] {
    fileprivate mutating func insert(sorted redirect: Redirect) {
        if count == Redirects.maxOfKind, let last, last.priority <= redirect.priority {
            self[count - 1].further += 1
            self[count - 1].merge(redirect)
            return
        }
        insert(redirect, at: firstIndex { $0.priority > redirect.priority } ?? count)
        if count > Redirects.maxOfKind {
            let last = removeLast()
            self[count - 1].further = last.further + 1
            self[count - 1].merge(last)
        }
    }
}

extension Redirect {
    /// Adds the effect of one that is not kept.
    fileprivate mutating func merge(_ other: Redirect) {
        marks.formUnion(other.marks)
        takesDatagrams = takesDatagrams || other.takesDatagrams
    }
}

extension Ruleset.Chain {
    /// Destination nat is done by chains of type nat in PREROUTING and OUTPUT, TPROXY by any chain in PREROUTING. What a
    /// chain of type route in OUTPUT has marked is routed again.
    var mayRedirect: Bool {
        guard let base else { return false }
        return base.hook == .prerouting || base.hook == .output && ["nat", "route"].contains(base.type)
    }

    /// What it does, if rules with these effects can be reached from it by packets from these sources.
    func redirect(by effects: [(ChainGraph.Effects, Redirect.Sources)]) -> Redirect? {
        guard let base, mayRedirect else { return nil }
        let mechanism: (ChainGraph.Effects, Redirect.Mechanism)
        // Only a chain of type nat can hold destination nat; only PREROUTING can hold TPROXY.
        switch (base.hook, base.type) {
        case (_, "nat") where effects.contains { $0.0 == .destinationNat }: mechanism = (.destinationNat, .nat)
        case (.prerouting, _): mechanism = (.transparentProxy, .transparentProxy)
        case (.output, "route"): mechanism = (.mark, .mark)
        default: return nil
        }
        guard let sources = effects.first(where: { $0.0 == mechanism.0 })?.1 else { return nil }
        var redirect = Redirect(
            chain: name, backend: .nftables, hook: base.hook, priority: base.priority, mechanism: mechanism.1,
            sources: sources)
        if mechanism.1 == .transparentProxy {
            redirect.takesDatagrams = effects.contains { $0.0 == .datagramProxy && $0.1.contains(.outside) }
        }
        return redirect
    }
}
