internal import Bypass
internal import Linux
internal import Netfilter

extension NamespaceSession {
    /// Reads what there is of iptables-legacy besides, if TPROXY is found that was not known when the namespace was entered.
    mutating func completeLegacy(beside ruleset: CachedRuleset) throws(KernelFailure) {
        guard var tables = legacy, !tables.isComplete, ruleset.hasTransparentProxy else { return }
        do throws(SystemCallError) {
            try withEntered { () throws(SystemCallError) in try tables.complete() }
        } catch {
            throw .refused(BypassError(error))
        }
        legacy = tables
    }

    /// Adds those chains to the redirects whose marks have a routing rule send packets to `lo`, where TPROXY takes them.
    ///
    /// Routing rules have no generation: they are read with every observation of a namespace that has both marks and such a
    /// TPROXY, and in no other.
    mutating func addRoutedMarks(_ chains: [Netfilter.Redirect], to observation: inout Observation) {
        if chains.allSatisfy(\.marks.isEmpty) { return }
        var routed = RoutedMarks(chains, beside: observation)
        if routed.families.isEmpty { return }
        do throws(SystemCallError) {
            var routing = try withEntered { () throws(SystemCallError) in try NetlinkSocket(for: .routing) }
            routing.deadline = socket.deadline
            for family in routed.families { routed.judge(family, routing.policy(of: family, for: routed)) }
        } catch {
            for family in routed.families { routed.judge(family, .failure(.systemCall(error))) }
        }
        observation.redirects += routed.redirects
    }
}

extension NetlinkSocket {
    fileprivate mutating func policy(
        of family: Bypass.Family, for routed: RoutedMarks
    ) -> Result<RoutingPolicy, NetfilterError> {
        do throws(NetfilterError) {
            return .success(try routingPolicy(family.netfilter, for: routed.possibleMarks))
        } catch {
            return .failure(error)
        }
    }
}

/// Chains that mark packets which leave, and what the routing rules do with those.
struct RoutedMarks {
    private let chains: [Netfilter.Redirect]
    /// Those in which TPROXY takes packets on `lo`, and a chain marks some that would come there.
    let families: [Bypass.Family]
    private(set) var redirects: [Observation.Redirect] = []

    init(_ chains: [Netfilter.Redirect], beside observation: Observation) {
        self.chains = chains
        families = Bypass.Family.allCases.filter { family in
            chains.contains { Self.mayTake($0, family, beside: observation) }
        }
    }

    private static func mayTake(
        _ chain: Netfilter.Redirect, _ family: Bypass.Family, beside observation: Observation
    ) -> Bool {
        guard var redirect = Observation.Redirect(chain, mark: .mark(unknown: nil)) else { return false }
        redirect.families = redirect.families.intersection([family])
        return !redirect.families.isEmpty && !observation.directions(of: redirect).isEmpty
    }

    /// Of all chains together: a packet can pass more than one.
    private func changes(of family: Bypass.Family) -> MarkChanges {
        chains.filter { $0.isOf(family) }.reduce(into: MarkChanges()) { $0.formUnion($1.marks) }
    }

    var possibleMarks: [PossibleMarks] { families.flatMap { changes(of: $0).possibleMarks } }

    mutating func judge(_ family: Bypass.Family, _ policy: Result<RoutingPolicy, NetfilterError>) {
        let inFamily = chains.filter { $0.isOf(family) && !$0.marks.isEmpty }
        switch policy {
        case .failure(let error):
            for chain in inFamily { add(chain, family, .unknown(error.reason)) }
        case .success(let policy):
            let ways = inFamily.map { policy.way(of: $0.marks) }
            // Only what several chains do to one packet may lead there: then each of them has its part.
            let together = ways.allSatisfy { $0 == .outside } ? policy.way(of: changes(of: family)) : .outside
            for (chain, way) in zip(inFamily, ways) { add(chain, family, way == .outside ? together : way) }
        }
    }

    /// Adds a chain, or a family of one that is there.
    private mutating func add(_ chain: Netfilter.Redirect, _ family: Bypass.Family, _ way: RoutingPolicy.Way) {
        let mechanism: Observation.Redirect.Mechanism
        switch way {
        case .outside: return
        case .loopback: mechanism = .mark(unknown: nil)
        case .unknown(let reason): mechanism = .mark(unknown: reason)
        }
        guard var redirect = Observation.Redirect(chain, mark: mechanism) else { return }
        redirect.families = [family]
        let known = redirects.firstIndex { ($0.name, $0.mechanism) == (redirect.name, mechanism) }
        if let known { redirects[known].families.insert(family) } else { redirects.append(redirect) }
    }
}

extension Netfilter.Redirect {
    fileprivate func isOf(_ family: Bypass.Family) -> Bool {
        chain.family == .inet || chain.family == family.netfilter
    }
}
