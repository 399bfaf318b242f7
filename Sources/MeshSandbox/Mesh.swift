extension MeshSandbox {
    /// By which means a mesh's init redirects the pod's traffic to the sidecar.
    package enum Mesh: String, CaseIterable, Hashable, Sendable {
        /// The tables `ip nat` and `ip6 nat`, as iptables-nft writes them.
        case iptables
        /// x_tables, beside nftables: what both redirect, this may win.
        case iptablesLegacy
        /// Nat chains in a table of the mesh's own, as Istio's nftables backend has them.
        case nftables
        /// Outbound as `iptables`; inbound connections are taken by TPROXY in the mangle table, as in Istio's interception mode
        /// of that name. The packets keep their addresses.
        case tproxy

        /// Those that redirect in both directions.
        package static let redirecting: [Mesh] = [.iptables, .iptablesLegacy, .nftables]

        /// The two commands that restore rules, IPv4 first.
        package var restore: [(family: Family, command: [String])] {
            switch self {
            case .iptables, .tproxy: [(.ipv4, ["iptables-nft-restore"]), (.ipv6, ["ip6tables-nft-restore"])]
            // The legacy commands fail at once where another process holds their lock, unless they have -w.
            case .iptablesLegacy:
                [(.ipv4, ["iptables-legacy-restore", "--wait"]), (.ipv6, ["ip6tables-legacy-restore", "--wait"])]
            case .nftables: []
            }
        }
    }

    /// Redirects the pod's traffic to the sidecar, IPv4 and IPv6, both directions.
    ///
    /// - Parameter flushing: empty the whole nat table first, with what others have put there, as iptables-restore does
    ///   by itself. Without it a mesh's init appends its rules, as Istio's does. For nftables it makes no difference.
    package func install(_ mesh: Mesh, flushing: Bool = false) async throws {
        for (family, command) in mesh.restore {
            let rules = MeshRules.redirect(family, inbound: mesh != .tproxy)
            try await run(command + (flushing ? [] : ["--noflush"]), in: .pod, input: rules)
            if mesh == .tproxy { try await run(command + ["--noflush"], in: .pod, input: MeshRules.tproxy(family)) }
        }
        if mesh == .nftables { try await run(["nft", "-f", "-"], in: .pod, input: MeshRules.nftables) }
    }
}
