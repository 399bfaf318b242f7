import Bypass
import Linux
import SystemPackage
import Testing

@testable import Datapath
@testable import Netfilter

/// Which chains that mark packets count as redirects.
@Suite struct RoutedMarksTests {
    private static func chain(_ family: Netfilter.Family, _ table: String, _ changes: MarkChange...)
        -> Netfilter.Redirect
    {
        var chain = Netfilter.Redirect(
            chain: ChainName(family, table, "OUTPUT"), backend: .nftables, hook: .output, priority: -150,
            mechanism: .mark)
        for change in changes { chain.marks.insert(.packet(change)) }
        return chain
    }

    private static func observation(_ families: FamilySet, _ sources: SourceSet = [.loopback]) -> Observation {
        let tproxy = Observation.Redirect(
            mechanism: .transparentProxy, hook: .prerouting, families: families, priority: -150, sources: sources,
            natChain: nil, name: "ip mangle PREROUTING")
        return Observation(redirects: [tproxy], now: 0)
    }

    /// `fwmark NUMBER lookup 100`, whose table leads to `lo`.
    private static func policy(_ number: UInt32) -> Result<RoutingPolicy, NetfilterError> {
        var rule = RoutingRule(priority: 9, action: .table(100))
        (rule.mark, rule.mask) = (number, .max)
        return .success(RoutingPolicy(rules: [rule], loopbackPrefixes: [100: 0]))
    }

    @Test("Nothing is read where nothing marks packets, or nothing takes them on lo")
    func families() {
        let both = Self.chain(.inet, "a", MarkChange(value: 1))
        let four = Self.chain(.ip, "a", MarkChange(value: 1))
        #expect(RoutedMarks([both], beside: Self.observation([.ip, .ip6])).families == [.ip, .ip6])
        #expect(RoutedMarks([both], beside: Self.observation([.ip6])).families == [.ip6])
        #expect(RoutedMarks([four], beside: Self.observation([.ip, .ip6])).families == [.ip])
        #expect(RoutedMarks([four], beside: Self.observation([.ip6])).families == [])
        #expect(RoutedMarks([both], beside: Self.observation([.ip, .ip6], [.outside])).families == [])
        #expect(RoutedMarks([both], beside: Observation(now: 0)).families == [])
        #expect(RoutedMarks([], beside: Self.observation([.ip])).families == [])
    }

    @Test("A chain counts in those families in which a rule takes its marks, or may take them")
    func judge() {
        let chains = [Self.chain(.inet, "a", MarkChange(value: 1)), Self.chain(.ip, "b", MarkChange(value: 2))]
        func found(
            _ four: Result<RoutingPolicy, NetfilterError>, _ six: Result<RoutingPolicy, NetfilterError>
        ) -> [String] {
            var routed = RoutedMarks(chains, beside: Self.observation([.ip, .ip6]))
            routed.judge(.ip, four)
            routed.judge(.ip6, six)
            return routed.redirects.map { redirect in
                guard case .mark(let reason) = redirect.mechanism else { return "\(redirect)" }
                return "\(redirect.name) \(redirect.families.count)\(reason == nil ? "" : " ?")"
            }
        }
        let failure: Result<RoutingPolicy, NetfilterError> = .failure(.systemCall(.init("x", .noMemory)))
        #expect(found(Self.policy(7), Self.policy(2)) == [])
        #expect(found(Self.policy(1), Self.policy(1)) == ["inet a OUTPUT 2"])
        #expect(found(Self.policy(2), Self.policy(1)) == ["ip b OUTPUT 1", "inet a OUTPUT 1"])
        #expect(found(failure, Self.policy(7)) == ["inet a OUTPUT 1 ?", "ip b OUTPUT 1 ?"])
        #expect(found(failure, Self.policy(1)) == ["inet a OUTPUT 1 ?", "ip b OUTPUT 1 ?", "inet a OUTPUT 1"])
        // What both do to one packet.
        var together = RoutedMarks(
            [Self.chain(.ip, "a", MarkChange(value: 1, mask: 1)), Self.chain(.ip, "b", MarkChange(value: 2, mask: 2))],
            beside: Self.observation([.ip]))
        together.judge(.ip, Self.policy(3))
        #expect(together.redirects.count == 2)
    }
}
