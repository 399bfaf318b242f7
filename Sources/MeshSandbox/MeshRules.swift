/// The rules of a sidecar as istio-init leaves them, for a proxy that runs as user and group 1337.
package enum MeshRules {
    package static let table = "mesh"

    package static let redirectChains = ["ISTIO_INBOUND", "ISTIO_IN_REDIRECT", "ISTIO_OUTPUT", "ISTIO_REDIRECT"]
    /// The proxy's own ports: tunnel, Prometheus, health, metrics.
    package static let proxyPorts = [15008, 15090, 15021, 15020]

    package static let tproxyChains = ["ISTIO_INBOUND", "ISTIO_DIVERT", "ISTIO_TPROXY"]

    static func redirect(_ family: MeshSandbox.Family, inbound: Bool) -> String {
        let loopback = family == .ipv4 ? "127.0.0.1/32" : "::1/128"
        let passthrough = family == .ipv4 ? "127.0.0.6/32" : "::6/128"
        let toSelf = "! -d \(loopback) -o lo -p tcp -m tcp ! --dport 15008"
        return restore(
            "nat", redirectChains,
            (inbound ? ["-A PREROUTING -p tcp -j ISTIO_INBOUND"] : []) + [
                "-A OUTPUT -j ISTIO_OUTPUT"
            ] + proxyPorts.map { "-A ISTIO_INBOUND -p tcp -m tcp --dport \($0) -j RETURN" } + [
                "-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT",
                "-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports \(Port.sidecarInbound)",
                "-A ISTIO_OUTPUT -s \(passthrough) -o lo -j RETURN",
                "-A ISTIO_OUTPUT \(toSelf) -m owner --uid-owner 1337 -j ISTIO_IN_REDIRECT",
                "-A ISTIO_OUTPUT -o lo -m owner ! --uid-owner 1337 -j RETURN",
                "-A ISTIO_OUTPUT -m owner --uid-owner 1337 -j RETURN",
                "-A ISTIO_OUTPUT \(toSelf) -m owner --gid-owner 1337 -j ISTIO_IN_REDIRECT",
                "-A ISTIO_OUTPUT -o lo -m owner ! --gid-owner 1337 -j RETURN",
                "-A ISTIO_OUTPUT -m owner --gid-owner 1337 -j RETURN",
                "-A ISTIO_OUTPUT -d \(loopback) -j RETURN",
                "-A ISTIO_OUTPUT -p tcp -j ISTIO_REDIRECT",
                "-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports \(Port.sidecarOutbound)",
            ])
    }

    package static func tproxy(_ family: MeshSandbox.Family) -> String {
        let loopback = family == .ipv4 ? "127.0.0.1/32" : "::1/128"
        let any = family == .ipv4 ? "0.0.0.0" : "::"
        return restore(
            "mangle", tproxyChains,
            ["-A PREROUTING -p tcp -j ISTIO_INBOUND"]
                + proxyPorts.map { "-A ISTIO_INBOUND -p tcp -m tcp --dport \($0) -j RETURN" } + [
                    // What is established, and the answers to what the pod has sent, goes to its own socket.
                    "-A ISTIO_INBOUND -p tcp -m conntrack --ctstate RELATED,ESTABLISHED -j ISTIO_DIVERT",
                    "-A ISTIO_INBOUND -p tcp -j ISTIO_TPROXY",
                    "-A ISTIO_DIVERT -j MARK --set-xmark 0x539/0xffffffff",
                    "-A ISTIO_DIVERT -j ACCEPT",
                    "-A ISTIO_TPROXY ! -d \(loopback) -p tcp -j TPROXY --on-port \(Port.sidecarInbound) --on-ip \(any) "
                        + "--tproxy-mark 0x539/0xffffffff",
                ])
    }

    /// The same as `redirect`, for both families in one table. The table is made before it is deleted, so that the
    /// deletion cannot fail: this is how nft replaces a table in one transaction.
    static let nftables = """
        table inet \(table)
        delete table inet \(table)
        table inet \(table) {
            chain prerouting {
                type nat hook prerouting priority -100; policy accept;
                meta l4proto tcp jump inbound
            }
            chain output {
                type nat hook output priority -100; policy accept;
                jump outbound
            }
            chain inbound {
                tcp dport { \(proxyPorts.map(String.init).joined(separator: ", ")) } return
                meta l4proto tcp jump inbound-redirect
            }
            chain inbound-redirect {
                meta l4proto tcp redirect to :\(Port.sidecarInbound)
            }
            chain outbound {
                oifname "lo" ip saddr 127.0.0.6 return
                oifname "lo" ip6 saddr ::6 return
                oifname "lo" ip daddr != 127.0.0.1 tcp dport != 15008 meta skuid 1337 jump inbound-redirect
                oifname "lo" ip6 daddr != ::1 tcp dport != 15008 meta skuid 1337 jump inbound-redirect
                oifname "lo" meta skuid != 1337 return
                meta skuid 1337 return
                oifname "lo" ip daddr != 127.0.0.1 tcp dport != 15008 meta skgid 1337 jump inbound-redirect
                oifname "lo" ip6 daddr != ::1 tcp dport != 15008 meta skgid 1337 jump inbound-redirect
                oifname "lo" meta skgid != 1337 return
                meta skgid 1337 return
                ip daddr 127.0.0.1 return
                ip6 daddr ::1 return
                meta l4proto tcp jump outbound-redirect
            }
            chain outbound-redirect {
                meta l4proto tcp redirect to :\(Port.sidecarOutbound)
            }
        }

        """

    package static func restore(_ table: String, _ chains: [String], _ rules: [String]) -> String {
        (["*\(table)"] + chains.map { ":\($0) - [0:0]" } + rules + ["COMMIT", ""]).joined(separator: "\n")
    }
}
