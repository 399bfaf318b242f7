package import MeshSandbox

extension MeshSandbox {
    /// Takes away what `install` has put there, and nothing else.
    package func remove(_ mesh: Mesh) async throws {
        for (_, command) in mesh.restore {
            try await run(command + ["--noflush"], in: .pod, input: MeshRules.removeRedirect(inbound: mesh != .tproxy))
        }
        if mesh == .tproxy { try await removeTPROXY() }
        if mesh == .nftables { try await run(["nft", "delete", "table", "inet", MeshRules.table], in: .pod) }
    }

    /// Has the pod's inbound traffic taken by TPROXY in the mangle table, as in Istio's interception mode of that name.
    /// The packets keep their addresses; the sidecar answers.
    ///
    /// - Parameter priority: of the chain; only nftables has a choice.
    package func installTPROXY(_ mesh: Mesh = .iptables, priority: Int = -150) async throws {
        for (family, command) in mesh.restore {
            try await run(command + ["--noflush"], in: .pod, input: MeshRules.tproxy(family))
        }
        if mesh == .nftables {
            try await run(["nft", "-f", "-"], in: .pod, input: MeshRules.nativeTPROXY(priority: priority))
        }
    }

    /// Has the pod's outbound connections to an app marked, routed to `lo` and taken there by TPROXY.
    ///
    /// - Parameter rule: the routing rule, whose table 100 leads to `lo`; nil for neither.
    package func installOutboundTPROXY(
        _ mesh: Mesh = .iptables, rule: String? = "fwmark 1 lookup 100"
    ) async throws {
        for (_, command) in mesh.restore {
            try await run(command + ["--noflush"], in: .pod, input: MeshRules.outboundTPROXY)
        }
        if mesh == .nftables { try await run(["nft", "-f", "-"], in: .pod, input: MeshRules.nativeOutboundTPROXY) }
        if let rule {
            try await route("rule add \(rule)\nroute add local default dev lo table 100")
        }
    }

    /// Runs lines of ip(8) in the pod.
    package func route(_ lines: String, _ families: [Family] = Family.allCases) async throws {
        for family in families {
            try await run(["ip", family == .ipv4 ? "-4" : "-6", "-batch", "-"], in: .pod, input: lines + "\n")
        }
    }

    /// Has the pod's connections to an app marked, as a program may do that wants them routed or shaped by its own rules.
    package func installMark(_ number: Int, by mesh: Mesh = .iptables) async throws {
        for (_, command) in mesh.restore {
            try await run(command + ["--noflush"], in: .pod, input: MeshRules.mark(number))
        }
        if mesh == .nftables { try await run(["nft", "-f", "-"], in: .pod, input: MeshRules.nativeMark(number)) }
    }

    /// Takes away what `installTPROXY` has put there, and nothing else.
    package func removeTPROXY(_ mesh: Mesh = .iptables) async throws {
        for (_, command) in mesh.restore {
            try await run(command + ["--noflush"], in: .pod, input: MeshRules.removeTPROXY)
        }
        if mesh == .nftables {
            try await run(["nft", "delete", "table", "inet", MeshRules.tproxyTable], in: .pod)
        }
    }

    /// The pod's nftables rules, those by iptables-nft included, without counters: for comparing before and after.
    package func ruleset() async throws -> String {
        try await run(["nft", "--stateless", "list", "ruleset"], in: .pod)
    }
}

extension MeshRules {
    fileprivate static func removeRedirect(inbound: Bool) -> String {
        restore(
            "nat", [],
            (inbound ? ["-D PREROUTING -p tcp -j ISTIO_INBOUND"] : []) + ["-D OUTPUT -j ISTIO_OUTPUT"]
                + remove(redirectChains))
    }

    fileprivate static let tproxyTable = "mesh_tproxy"

    /// The same in one table for both families, as Istio's nftables backend writes it.
    fileprivate static func nativeTPROXY(priority: Int) -> String {
        """
        table inet \(tproxyTable) {
            chain prerouting {
                type filter hook prerouting priority \(priority); policy accept;
                meta l4proto tcp jump inbound
            }
            chain inbound {
                tcp dport { \(proxyPorts.map(String.init).joined(separator: ", ")) } return
                ct state related,established jump divert
                ip daddr != 127.0.0.1 meta l4proto tcp tproxy ip to :\(Port.sidecarInbound) meta mark set 0x539 accept
                ip6 daddr != ::1 meta l4proto tcp tproxy ip6 to :\(Port.sidecarInbound) meta mark set 0x539 accept
            }
            chain divert {
                meta mark set 0x539 accept
            }
        }

        """
    }

    fileprivate static let outboundTPROXY = restore(
        "mangle", [],
        [
            "-A OUTPUT -p tcp --dport 8080 -m owner ! --uid-owner 1337 -j MARK --set-mark 1",
            "-A PREROUTING -i lo -p tcp -m mark --mark 1 -j TPROXY --on-port 15001",
        ])

    fileprivate static func mark(_ number: Int) -> String {
        restore("mangle", [], ["-A OUTPUT -p tcp --dport 8080 -j MARK --set-mark \(number)"])
    }

    fileprivate static func nativeMark(_ number: Int) -> String {
        """
        table inet marks {
            chain output {
                type route hook output priority mangle; policy accept;
                tcp dport 8080 meta mark set \(number)
            }
        }

        """
    }

    fileprivate static let nativeOutboundTPROXY = """
        table inet mesh_outbound {
            chain output {
                type route hook output priority mangle; policy accept;
                tcp dport 8080 meta skuid != 1337 meta mark set 1
            }
            chain prerouting {
                type filter hook prerouting priority mangle; policy accept;
                iifname "lo" meta l4proto tcp meta mark 1 tproxy to :15001
            }
        }

        """

    fileprivate static let removeTPROXY = restore(
        "mangle", [], ["-D PREROUTING -p tcp -j ISTIO_INBOUND"] + remove(tproxyChains))

    private static func remove(_ chains: [String]) -> [String] {
        chains.map { "-F \($0)" } + chains.map { "-X \($0)" }
    }
}
