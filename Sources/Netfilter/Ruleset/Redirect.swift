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

    package init(chain: ChainName, backend: Backend, hook: Hook, priority: Int32, mechanism: Mechanism) {
        self.chain = chain
        self.backend = backend
        self.hook = hook
        self.priority = priority
        self.mechanism = mechanism
    }
}

extension Ruleset {
    /// The base chains from which a redirect can be reached, over whatever jumps.
    ///
    /// - Parameter own: the table that is ours, whose nat redirects nothing.
    package func redirects(except own: (Family, String)) -> [Redirect] {
        let dormant = tables.filter(\.isDormant)
        var found: [Redirect] = []
        for chain in chains where (chain.name.family, chain.name.table) != own {
            guard let base = chain.base, base.hook == .prerouting || base.hook == .output,
                !dormant.contains(where: { $0.family == chain.name.family && $0.name == chain.name.table })
            else { continue }
            let reached = effects(from: chain.name)
            // Only a chain of type nat can hold destination nat; only PREROUTING can hold TPROXY.
            if base.type == "nat", reached.hasDestinationNat {
                found.append(Redirect(chain.name, base, .nat))
            } else if base.hook == .prerouting, reached.hasTransparentProxy {
                found.append(Redirect(chain.name, base, .transparentProxy))
            }
        }
        return found
    }

    /// What can happen to a packet from a chain on. A verdict map can lead anywhere in its table.
    private func effects(from start: ChainName) -> Effects {
        var reached = Effects()
        var seen: Set<ChainName> = [start]
        var waiting = [start]
        while let name = waiting.popLast() {
            guard let here = effects[name] else { continue }
            if here.hasDestinationNat { reached.hasDestinationNat = true }
            if here.hasTransparentProxy { reached.hasTransparentProxy = true }
            for target in here.jumps {
                let next = ChainName(name.family, name.table, target)
                if seen.insert(next).inserted { waiting.append(next) }
            }
            // One map may lead to all chains there are: a second one leads nowhere else.
            guard here.hasVerdictMap, !reached.hasVerdictMap else { continue }
            reached.hasVerdictMap = true
            for chain in chains where chain.base == nil && chain.name.isInTable(of: name) {
                if seen.insert(chain.name).inserted { waiting.append(chain.name) }
            }
        }
        return reached
    }
}

extension Redirect {
    fileprivate init(_ name: ChainName, _ base: BaseChain, _ mechanism: Mechanism) {
        self.init(chain: name, backend: .nftables, hook: base.hook, priority: base.priority, mechanism: mechanism)
    }
}

extension ChainName {
    fileprivate func isInTable(of other: ChainName) -> Bool {
        family == other.family && table == other.table
    }
}
