/// A base chain that takes connections to a proxy.
package struct Redirect: Hashable, Sendable {
    package enum Mechanism: Hashable, Sendable {
        /// Destination nat: `redirect`, `dnat`.
        case nat
        /// TPROXY, which leaves the packet's address alone: no nat rule touches it.
        case transparentProxy
    }

    /// How the rules got there.
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
    /// The number of redirects of the same kind, of the same priority or later, that are not kept.
    package var further = 0

    package init(chain: ChainName, backend: Backend, hook: Hook, priority: Int32, mechanism: Mechanism) {
        self.chain = chain
        self.backend = backend
        self.hook = hook
        self.priority = priority
        self.mechanism = mechanism
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
            return
        }
        insert(redirect, at: firstIndex { $0.priority > redirect.priority } ?? count)
        if count > Redirects.maxOfKind {
            let further = removeLast().further + 1
            self[count - 1].further = further
        }
    }
}

extension Ruleset.Chain {
    /// Destination nat is done by chains of type nat in PREROUTING and OUTPUT, TPROXY by any chain in PREROUTING.
    var mayRedirect: Bool {
        guard let base else { return false }
        return base.hook == .prerouting || base.hook == .output && base.type == "nat"
    }

    /// What it does, if rules with these effects can be reached from it.
    func redirect(by effects: ChainGraph.Effects) -> Redirect? {
        guard let base, mayRedirect else { return nil }
        let mechanism: Redirect.Mechanism
        // Only a chain of type nat can hold destination nat; only PREROUTING can hold TPROXY.
        if base.type == "nat", effects.contains(.destinationNat) {
            mechanism = .nat
        } else if base.hook == .prerouting, effects.contains(.transparentProxy) {
            mechanism = .transparentProxy
        } else {
            return nil
        }
        return Redirect(
            chain: name, backend: .nftables, hook: base.hook, priority: base.priority, mechanism: mechanism)
    }
}
