/// A rule of another program that ends one of iptables' nat chains for every packet, as Kmesh's controller inserts it: the
/// redirects after it in the chain have no effect, whether a bypass is on or off.
package struct ForeignBypass: Hashable, Sendable {
    package enum Verdict: String, Hashable, Sendable {
        case accept = "ACCEPT"
        case returnToCaller = "RETURN"
    }

    package var natChain: NATChain
    package var verdict: Verdict
    /// By which nf_tables knows it; nil in iptables-legacy, where the daemon changes nothing.
    package var handle: UInt64?

    package init(_ natChain: NATChain, _ verdict: Verdict, handle: UInt64?) {
        self.natChain = natChain
        self.verdict = verdict
        self.handle = handle
    }

    private var isLegacy: Bool { handle == nil }
    private var chain: String { natChain.hook == .output ? "OUTPUT" : "PREROUTING" }

    /// For people: the chain, and the rule as iptables writes it.
    package var description: String {
        "\(natChain.name)\(isLegacy ? " (iptables-legacy)" : ""): -A \(chain) -j \(verdict.rawValue)"
    }

    /// The command that removes it.
    ///
    /// - Parameter netns: how the namespace is named there.
    package func remedy(in netns: String) -> String {
        guard isLegacy else { return "kmesh-bypassctl off \(netns) --foreign" }
        let tool = natChain.family == .ip ? "iptables-legacy" : "ip6tables-legacy"
        return "nsenter --net=\(netns) \(tool) -t nat -D \(chain) -j \(verdict.rawValue)"
    }
}
