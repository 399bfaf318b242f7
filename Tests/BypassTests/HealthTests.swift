import Bypass
import BypassAPI
import Testing

@Suite struct HealthTests {
    typealias Redirect = Observation.Redirect

    private func health(of redirects: [Redirect], change: (inout Observation) -> Void = { _ in }) -> Health {
        var observation = Observation.bypassedIstio()
        observation.redirects = redirects
        change(&observation)
        return Health(observation)
    }

    private static func nat(
        _ natChain: NATChain?, _ hook: Hook = .output, _ families: FamilySet = [.ip], priority: Int32 = -100
    ) -> Redirect {
        .init(
            mechanism: .nat, hook: hook, families: families, priority: priority, natChain: natChain,
            name: "ip mesh chain")
    }

    @Test(
        "A whole bypass is on, and effective against a redirect at any later priority",
        arguments: [
            nat(ipOutput), nat(nil), nat(nil, priority: -100), nat(nil, .prerouting, [.ip, .ip6], priority: 0),
            nat(ipOutput, priority: -200),
        ])
    func on(_ redirect: Redirect) {
        let health = health(of: [redirect])
        #expect(health.state == .on)
        #expect(health.effective)
        #expect(health.warnings == [])
    }

    @Test(
        "Without an entry, or after its deadline, it is off and nothing is said",
        arguments: [
            nil, MapEntry(deadline: MapEntry.expired, hooks: both), MapEntry(deadline: 10, hooks: both),
        ])
    func off(_ entry: MapEntry?) {
        let health = health(of: [Self.nat(ipOutput)]) { $0.entry = entry }
        #expect(health.state == .off)
        #expect(!health.effective)
        #expect(health.warnings == [])
    }

    @Test("Rules of another program that bypass the sidecar are named, on and off")
    func foreignBypass() {
        let kmesh = ForeignBypass(ipOutput, .returnToCaller, handle: 7)
        let legacy = ForeignBypass(ipOutput, .accept, handle: nil)
        let on = health(of: [Self.nat(ipOutput)]) { $0.foreignBypasses = [kmesh, legacy] }
        #expect(on.effective && on.warnings == [.foreignBypass(kmesh), .foreignBypass(legacy)])
        let off = health(of: [Self.nat(ipOutput)]) { ($0.entry, $0.foreignBypasses) = (nil, [kmesh]) }
        #expect(off.state == .off && off.warnings == [.foreignBypass(kmesh)])
        #expect(kmesh.description == "ip nat OUTPUT: -A OUTPUT -j RETURN")
        #expect(kmesh.remedy(in: "web") == "kmesh-bypassctl off web --foreign")
        #expect(
            legacy.remedy(in: "/run/netns/web")
                == "nsenter --net=/run/netns/web iptables-legacy -t nat -D OUTPUT -j ACCEPT")
    }

    @Test(
        "What comes before the guard still wins, and TPROXY is beaten by no nat",
        arguments: [
            (nat(nil, priority: -101), "earlier-redirect"), (nat(nil, priority: -300), "earlier-redirect"),
            (.tproxy(priority: -149), "tproxy"), (.tproxy(priority: -300), "tproxy"),
        ])
    func active(_ redirect: Redirect, code: String) {
        let health = health(of: [Self.nat(ipOutput), redirect])
        #expect(health.state == .on)
        #expect(!health.effective)
        #expect(health.warnings.map(\.code) == [code])
        #expect(health.warnings.first?.message.contains(redirect.name) == true)
    }

    @Test("TPROXY is overridden by a whole mask, and by nothing less")
    func mask() {
        let whole: PairMap<MaskChain, Observation.MaskHalf> = [
            .mask: .intact(Mask([.ip, .ip6])), .unmask: .intact(Mask([.ip, .ip6])),
        ]
        let masked = health(of: [.tproxy()]) { $0.maskChains = whole }
        #expect(masked.state == .on && masked.effective && masked.warnings == [])
        for missing in MaskChain.allCases {
            for half in [nil, .damaged, .intact(Mask([.ip6]))] as [Observation.MaskHalf?] {
                let health = health(of: [.tproxy()]) {
                    $0.maskChains = whole
                    $0.maskChains[missing] = half
                }
                #expect(health.state == .degraded && !health.effective)
                #expect(health.warnings.first == .maskMissing)
            }
        }
    }

    private static let everywhere = [nat(nil, .prerouting, [.ip, .ip6]), nat(nil, .output, [.ip, .ip6])]
    private static let effects: [([Redirect], HookSet, BypassStatus.Effect)] = [
        ([], both, .nothingToBypass), (everywhere, both, .all), (everywhere, [.prerouting], .all),
        (everywhere + [.tproxy(priority: -300)], both, .partial),
        (everywhere + [.tproxy(priority: -300)], [.output], .all),
        (everywhere + [.tproxy(priority: -300)], [.prerouting], .partial),
        ([.tproxy(priority: -300, [.ip, .ip6])], both, .ineffective),
        (everywhere + [.tproxy(priority: -300, [.ip, .ip6])], [.prerouting], .ineffective),
        (everywhere + [nat(nil, .output, [.ip, .ip6], priority: -101)], [.output], .ineffective),
        (everywhere + [nat(nil, .output, [.ip], priority: -101)], [.output], .partial),
        ([nat(nil, .prerouting)], [.output], .nothingToBypass),
    ]

    @Test("The effect is for the direction that was asked for", arguments: effects)
    func effect(_ redirects: [Redirect], _ hooks: HookSet, _ effect: BypassStatus.Effect) {
        let health = health(of: redirects) { $0.entry?.hooks = hooks }
        #expect(health.effect == effect)
        #expect(health.effective == (effect == .all || effect == .nothingToBypass))
        #expect((effect == .nothingToBypass) == health.warnings.contains(.noInterception))
    }

    private static func mark(
        _ families: FamilySet = [.ip], _ sources: SourceSet = [.outside, .loopback], unknown reason: String? = nil
    ) -> Redirect {
        .init(
            mechanism: .mark(unknown: reason), hook: .output, families: families, priority: -150, sources: sources,
            natChain: nil, name: "ip mangle OUTPUT")
    }

    private static func tproxy(_ sources: SourceSet) -> Redirect {
        .init(
            mechanism: .transparentProxy, hook: .prerouting, families: [.ip], priority: -150, sources: sources,
            natChain: nil, name: "ip mangle PREROUTING")
    }

    private static let ways: [([Redirect], HookSet, BypassStatus.Effect, [String])] = [
        // Outbound connections come back by lo.
        ([mark(), tproxy([.loopback])], [.output], .ineffective, ["tproxy"]),
        ([mark(unknown: "reasons"), tproxy([.loopback])], [.output], .ineffective, ["tproxy"]),
        ([mark(), tproxy([.loopback])], [.prerouting], .nothingToBypass, ["no-interception"]),
        ([mark(), tproxy([.outside, .loopback])], both, .partial, ["tproxy"]),
        ([mark(), tproxy([.outside, .loopback])], [.prerouting], .all, []),
        ([mark(), nat(nil, .output)], [.output], .all, []),
        ([mark([.ip6]), tproxy([.loopback]), nat(nil, .output)], [.output], .all, []),
        ([mark(), tproxy([.loopback]), nat(nil, .output)], [.output], .ineffective, ["tproxy"]),
        // A sidecar marks its own connections to its pod.
        ([mark([.ip], [.loopback]), tproxy([.outside, .loopback])], both, .all, []),
        ([tproxy([.loopback])], both, .nothingToBypass, ["no-interception"]),
        // A virtual machine's come in by an interface of its own.
        ([named(-100)], [.output], .all, []), ([named(-100)], [.prerouting], .all, []), ([named(-100)], both, .all, []),
        ([named(-101)], [.output], .ineffective, ["earlier-redirect"]),
        ([tproxy([.outside, .namedInterface])], [.output], .ineffective, ["forwarded-traffic"]),
        ([tproxy([.outside, .namedInterface])], [.prerouting], .all, []),
    ]

    private static func named(_ priority: Int32) -> Redirect {
        .init(
            mechanism: .nat, hook: .prerouting, families: [.ip], priority: priority,
            sources: [.outside, .namedInterface], natChain: nil, name: "ip nat PREROUTING")
    }

    @Test("The way of the connections decides whose direction a redirect is, not its hook", arguments: ways)
    func way(_ redirects: [Redirect], _ hooks: HookSet, _ effect: BypassStatus.Effect, _ codes: [String]) {
        var observation = Observation.bypassedIstio(hooks)
        observation.redirects = redirects
        observation.maskChains = [.mask: .intact(Mask([.ip, .ip6])), .unmask: .intact(Mask([.ip, .ip6]))]
        let health = Health(observation)
        #expect(health.effect == effect)
        #expect(Set(health.warnings.map(\.code)) == Set(codes))
        #expect(health.state == .on)
    }

    @Test("A guard that covers more or less than the direction is damaged", arguments: Traffic.allCases)
    func otherTraffic(_ traffic: Traffic) {
        for hooks in [both, [.prerouting], [.output]] as [HookSet] {
            var observation = Observation.bypassedIstio(hooks)
            observation.guardChains?[.prerouting] = .intact([.ip, .ip6], traffic)
            let isRight = hooks.traffic(at: .prerouting) == traffic
            #expect(Health(observation).warnings.contains(.guardMissing(.prerouting)) == !isRight)
        }
    }

    private static let unknowns: [([Redirect], BypassStatus.Effect)] = [([], .ineffective), (everywhere, .partial)]

    @Test("What is not known counts as not bypassed", arguments: unknowns)
    func unknown(_ redirects: [Redirect], _ effect: BypassStatus.Effect) {
        let unreadable = health(of: redirects) { $0.unreadable = [.init(rules: "ip nat", reason: "no reason")] }
        #expect(unreadable.effect == effect && !unreadable.effective)
        #expect(health(of: redirects) { $0.isSettled = false }.effect == effect)
        var further = redirects
        further.append(.tproxy(priority: -300, [.ip6]))
        further[further.count - 1].further = 1
        #expect(health(of: further).effect == effect)
        #expect(health(of: redirects) { $0.entry = nil }.effect == .ineffective)
    }

    @Test("A direction that was not asked for does not matter")
    func otherDirection() {
        var observation = Observation.bypassedIstio([.prerouting])
        observation.redirects = [Self.nat(nil, .output, priority: -300), Self.nat(ipPrerouting, .prerouting)]
        let health = Health(observation)
        #expect(health.effective)
        #expect(health.warnings == [])
    }

    @Test("A rule of another program that the scope leaves out goes on working")
    func otherNat() throws {
        let dns = Scope(only: try ConnectionSet(ports: [PortRange(53)], networks: [IPNetwork("127.0.0.11")]))
        func isNamed(_ hooks: HookSet, only: ConnectionSet? = nil, except: ConnectionSet? = nil) -> Bool {
            var observation = Observation.bypassedIstio(hooks)
            observation.entry?.scope = Scope(only: only, except: except)
            observation.otherNat = [.init(hooks: [.output], chain: "ip nat DOCKER_OUTPUT", rule: "-j DNAT", scope: dns)]
            return Health(observation).warnings.map(\.code).contains("other-nat")
        }
        #expect(isNamed([.prerouting, .output]) && isNamed([.output]) && !isNamed([.prerouting]))
        let (web, name) = (try ConnectionSet(ports: [PortRange(80)]), try ConnectionSet(ports: [PortRange(53)]))
        let loopback = try ConnectionSet(networks: [IPNetwork("127.0.0.0/8")])
        #expect(!isNamed([.output], only: web) && isNamed([.output], only: name) && isNamed([.output], except: web))
        #expect(!isNamed([.output], except: name) && !isNamed([.output], except: loopback))
        #expect(!isNamed([.output], only: name, except: loopback))
    }

    @Test("Where nothing is intercepted there is nothing to bypass")
    func nothing() {
        let health = health(of: [])
        #expect(health.state == .on)
        #expect(health.effective)
        #expect(health.warnings == [.noInterception])
        #expect(health.warnings.map(\.code) == ["no-interception"])
    }

    @Test("A ruleset that changed while it was read is neither effective nor without redirects")
    func unsettled() {
        for redirects in [[], [Self.nat(ipOutput)]] {
            let health = health(of: redirects) { $0.isSettled = false }
            #expect(health.state == .on)
            #expect(!health.effective)
            #expect(health.warnings.map(\.code) == ["unseen"])
        }
        let off = health(of: []) { ($0.isSettled, $0.entry) = (false, nil) }
        #expect(off.state == .off && off.warnings.map(\.code) == ["unseen"])
    }

    @Test(
        "Damage is reported by place, and what is left still counts",
        arguments: [
            Damage("rule-missing", effective: true) { $0.setChain(ipOutput, .init(hasForeignRules: true)) },
            Damage("rule-missing", effective: true) { $0.setChain(ipOutput, nil) },
            Damage("rule-not-first", effective: true) {
                $0.setChain(ipOutput, .init(own: [8], ownIsFirst: false, hasForeignRules: true))
            },
            Damage("guard-missing", effective: true) { $0.guardChains?[.output] = nil },
            Damage("guard-missing", effective: true) { $0.guardChains?[.output] = .intact([.ip6]) },
            Damage("guard-missing", effective: true) { $0.guardChains?[.output] = .damaged },
        ])
    func degraded(_ damage: Damage) {
        let health = health(of: [Self.nat(ipOutput)], change: damage.change)
        #expect(health.state == .degraded)
        #expect(health.effective == damage.effective)
        #expect(health.warnings.map(\.code) == [damage.code])
    }

    @Test("A chain that is not iptables' lacks nothing, and the guard beats what is elsewhere")
    func closedChain() {
        let health = health(of: [Self.nat(nil)]) { $0.setChain(ipOutput, .init(hasForeignRules: true, isClosed: true)) }
        #expect(health.state == .on)
        #expect(health.effective)
        #expect(health.warnings == [])
    }

    @Test("Without the guard a redirect outside iptables' chain wins again")
    func withoutGuard() {
        let health = health(of: [Self.nat(nil)]) { $0.guardChains = nil }
        #expect(health.state == .degraded)
        #expect(!health.effective)
        #expect(health.warnings.map(\.code) == ["guard-missing", "guard-missing", "redirect"])
    }

    @Test("A bypass of IPv4 alone, where the kernel has no nat for IPv6, is whole")
    func ipv4Only() {
        var observation = Observation.bypassedIstio()
        observation.tables[.ip6] = nil
        observation.guardChains = [.prerouting: .intact([.ip]), .output: .intact([.ip])]
        observation.redirects = [Self.nat(ipOutput)]
        #expect(Health(observation).state == .on)
    }

    struct Damage: Sendable, CustomTestStringConvertible {
        var code: String
        var effective: Bool
        var change: @Sendable (inout Observation) -> Void

        init(_ code: String, effective: Bool, _ change: @escaping @Sendable (inout Observation) -> Void) {
            self.code = code
            self.effective = effective
            self.change = change
        }

        var testDescription: String { code }
    }
}
