/// Rulesets as no one would write them, and the kernel takes them all the same.
enum OddRulesets {
    /// Every family, type of chain and hook, with priorities from one end to the other, and every kind of object.
    static let everything = everyChain + objects + manyRules + homonyms

    private static let everyChain: String = {
        let hooks = ["prerouting", "input", "forward", "output", "postrouting"]
        let internetHooks = hooks.map { ("filter", $0) } + hooks.filter { $0 != "forward" }.map { ("nat", $0) }
        var text = ""
        for family in ["ip", "ip6", "inet"] {
            text += table(family, internetHooks + [("route", "output")])
        }
        text += table("bridge", hooks.map { ("filter", $0) })
        text += table("arp", [("filter", "input"), ("filter", "output")])
        return text + """
            table netdev every {
                chain in { type filter hook ingress device "lo" priority -500; policy accept; }
                chain out { type filter hook egress device "lo" priority 500; policy accept; }
            }
            table inet with-device {
                chain in { type filter hook ingress device "lo" priority 7; policy accept; }
            }

            """
    }()

    /// Nat has to come after conntrack, whose priority is -200.
    private static func table(_ family: String, _ chains: [(type: String, hook: String)]) -> String {
        var text = "table \(family) every {\n"
        for (type, hook) in chains {
            for priority in [type == "nat" ? -199 : -2_147_483_000, -1, 2_147_483_000] {
                let name = "\(type)-\(hook)\(priority)"
                text += "chain \(name) { type \(type) hook \(hook) priority \(priority); policy accept; counter; }\n"
            }
        }
        return text + "}\n"
    }

    private static let objects = """
        table inet objects {
            comment "a comment with é"
            flags dormant
            set addresses { type ipv4_addr; flags interval, timeout; elements = { 192.0.2.0/24 comment "x" }; }
            set pairs { type ipv6_addr . inet_service; flags dynamic; size 65535; }
            map ports { type inet_service : ipv4_addr; elements = { 80 : 192.0.2.1, 443 : 192.0.2.2 }; }
            map verdicts { type inet_service : verdict; elements = { 80 : jump there, 81 : drop }; }
            counter hits { packets 3 bytes 300 }
            quota much { over 25 mbytes used 1 mbytes }
            limit slow { rate 3/minute burst 5 packets }
            ct helper ftp { type "ftp" protocol tcp; }
            chain there { ip daddr set tcp dport map @ports counter name "hits"; }
            chain in {
                type nat hook prerouting priority -120; policy accept;
                tcp dport vmap @verdicts
                meta l4proto tcp dnat ip to tcp dport map @ports
            }
            chain forward { type filter hook forward priority 0; quota name "much"; }
            chain out { type filter hook output priority 0; ct mark set ct mark; log prefix "a b" group 7; reject; }
        }

        """

    /// Not every kernel has flow tables.
    static let flowTable = """
        table inet flows {
            flowtable fast { hook ingress priority 0; devices = { lo }; }
            chain forward { type filter hook forward priority 0; meta l4proto tcp flow add @fast; }
        }

        """

    /// 5,000 rules in a chain, and 500 chains.
    private static let manyRules: String = {
        var text = "table ip many {\nmap everywhere { type mark : verdict; }\n"
        for number in 0..<500 { text += "chain chain-\(number) { counter return; }\n" }
        text += "chain long { type nat hook output priority -99; policy accept;\n"
        for number in 0..<5000 {
            let verdict = number % 10 == 0 ? "\(number) goto chain-\(number / 10)" : "vmap @everywhere"
            text += "meta mark \(verdict)\n"
        }
        return text + "}\n}\n"
    }()

    /// What has our names and is not ours.
    private static let homonyms = """
        table ip kmesh_bypass {
            chain output { type nat hook output priority -101; counter; }
        }
        table inet nat {
            chain OUTPUT { type nat hook output priority -100; counter; }
        }
        table inet kmesh_bypass {
            comment "mine"
            set theirs { type ipv4_addr; }
            chain foreign { type filter hook output priority 3; ip daddr @theirs drop; }
        }

        """

    /// By iptables, either of them: what it has no expression of nf_tables for is a match or a target of x_tables.
    static let iptables = """
        *nat
        :odd.chain:1 - [0:0]
        -A PREROUTING -p tcp -m multiport --dports 1:7,9 -m comment --comment "a \\"b\\" c" -j odd.chain:1
        -A POSTROUTING -m statistic --mode random --probability 0.5 -j MASQUERADE --random
        -A odd.chain:1 -m u32 --u32 "6&0xFF=1" -m string --string "a b" --algo bm -j RETURN
        COMMIT
        *mangle
        -A PREROUTING -p tcp -m socket --transparent -j MARK --set-xmark 0x1/0xffffffff
        -A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
        -A OUTPUT -m owner --uid-owner 0 -j CONNMARK --save-mark
        COMMIT
        *filter
        -A INPUT -m conntrack --ctstate INVALID -m limit --limit 3/min -j LOG --log-prefix "a b "
        -A OUTPUT -m hashlimit --hashlimit-upto 5/sec --hashlimit-name x -j NFLOG --nflog-prefix "c d"
        COMMIT

        """
}
