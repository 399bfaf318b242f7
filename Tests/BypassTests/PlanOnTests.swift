import Bypass
import Testing

@Suite struct PlanOnTests {
    private let on = DesiredState.on(both, deadline: 0)

    @Test("In an empty namespace tables and chains are made, and the entry says so before they are")
    func fromNothing() {
        let plan = Plan(for: .on([.output], deadline: 0), given: Observation(now: 10))
        let ip6Output = NATChain(.ip6, .output)
        let created: CreatedObjectSet = [.table(.ip), .table(.ip6), .chain(ipOutput), .chain(ip6Output)]
        #expect(
            plan.actions == [
                .setEntry(MapEntry(deadline: MapEntry.expired, hooks: [], created: created)),
                .createTable(.ip), .createChain(ipOutput), .insertRule(ipOutput),
                .createTable(.ip6), .createChain(ip6Output), .insertRule(ip6Output),
                .createGuardTable, .createGuardChain(.prerouting, [.ip, .ip6], .forwarded),
                .createGuardChain(.output, [.ip, .ip6]),
                .setEntry(MapEntry(deadline: 0, hooks: [.output], created: created)),
            ])
    }

    @Test("Where a mesh has its chains nothing is made but our rules and the guard, and the entry comes last")
    func inIstio() {
        let plan = Plan(for: on, given: .istio())
        #expect(
            plan.actions == [.setEntry(MapEntry(deadline: MapEntry.expired, hooks: []))]
                + Family.allCases.flatMap { family in
                    Hook.allCases.map { .insertRule(NATChain(family, $0)) }
                } + [
                    .createGuardTable, .createGuardChain(.prerouting, [.ip, .ip6]),
                    .createGuardChain(.output, [.ip, .ip6]),
                    .setEntry(MapEntry(deadline: 0, hooks: both)),
                ])
    }

    @Test("A guard that is not whole is created again, in a table with something of another program's without that")
    func sharedGuard() {
        var observation = Observation.istio()
        observation.guardChains = [.output: .damaged]
        observation.isGuardShared = true
        let guards = Plan(for: on, given: observation).actions.filter(\.isInRuleset).suffix(3)
        #expect(
            guards == [
                .deleteGuardChain(.output), .createGuardChain(.prerouting, [.ip, .ip6]),
                .createGuardChain(.output, [.ip, .ip6]),
            ])
    }

    @Test("A chain that is not iptables' gets no rule, and loses one that is ours")
    func closedChain() {
        var observation = Observation.istio()
        observation.setChain(ipOutput, .init(own: [4], hasForeignRules: true, isClosed: true))
        #expect(
            Plan(for: on, given: observation).touching(.ip) == [
                .insertRule(ipPrerouting), .deleteRule(ipOutput, handle: 4),
            ])
    }

    @Test("On while on does nothing", arguments: [Observation.bypassedIstio(), .bypassedNothing()])
    func twice(_ observation: Observation) {
        #expect(Plan(for: on, given: observation).actions == [])
    }

    @Test("Another deadline is one update of the map")
    func anotherDeadline() {
        let plan = Plan(for: .on(both, deadline: 99), given: .bypassedIstio())
        #expect(plan.actions == [.setEntry(MapEntry(deadline: 99, hooks: both))])
    }

    @Test("A passed deadline's rules are still good")
    func afterTheDeadline() {
        #expect(
            Plan(for: on, given: .bypassedIstio(deadline: 5)).actions == [.setEntry(MapEntry(deadline: 0, hooks: both))]
        )
    }

    @Test("A rule that is no longer first is inserted again before the old one goes")
    func notFirst() {
        var observation = Observation.bypassedIstio()
        observation.setChain(ipOutput, .init(own: [8], ownIsFirst: false, hasForeignRules: true))
        #expect(
            Plan(for: on, given: observation).touching(.ip)
                == [.insertRule(ipOutput), .deleteRule(ipOutput, handle: 8)])
    }

    @Test("Of several rules of ours the first stays")
    func duplicates() {
        var observation = Observation.bypassedIstio()
        observation.setChain(ipOutput, .init(own: [8, 9, 12], ownIsFirst: true, hasForeignRules: true))
        let plan = Plan(for: on, given: observation)
        #expect(plan.touching(.ip) == [.deleteRule(ipOutput, handle: 9), .deleteRule(ipOutput, handle: 12)])
        #expect(!plan.actions.contains(.deleteGuardTable))
    }

    @Test(
        "Rules without a finished entry may ask a program of the past, so they are created again",
        arguments: [
            nil, MapEntry(deadline: MapEntry.expired, hooks: [], created: []),
            MapEntry(deadline: 0, hooks: both, isCurrent: false),
        ])
    func untrusted(_ entry: MapEntry?) {
        var observation = Observation.bypassedIstio()
        observation.entry = entry
        let plan = Plan(for: on, given: observation)
        #expect(
            plan.touching(.ip) == [
                .insertRule(ipPrerouting), .deleteRule(ipPrerouting, handle: 7),
                .insertRule(ipOutput), .deleteRule(ipOutput, handle: 8),
            ])
        #expect(plan.actions.contains(.deleteGuardTable))
        #expect(plan.actions.last == .setEntry(MapEntry(deadline: 0, hooks: both)))
    }

    @Test("A guard that another program changed is created again in one batch")
    func damagedGuard() {
        var observation = Observation.bypassedIstio()
        observation.guardChains?[.output] = .damaged
        let plan = Plan(for: on, given: observation)
        #expect(
            plan.actions.dropLast() == [
                .deleteGuardTable, .createGuardTable, .createGuardChain(.prerouting, [.ip, .ip6]),
                .createGuardChain(.output, [.ip, .ip6]),
            ])
        #expect(plan.actions.last == .setEntry(MapEntry(deadline: 0, hooks: both)))
    }

    @Test("Without nat for IPv6 the bypass is one of IPv4")
    func reducedToIPv4() {
        let plan = Plan(for: on, given: .istio([.ip]), families: [.ip])
        #expect(plan.touching(.ip6) == [])
        #expect(plan.actions.contains(.createGuardChain(.output, [.ip])))
    }

    private static let changes: [(HookSet, HookSet)] = [
        (both, [.output]), (both, [.prerouting]), ([.output], both), ([.prerouting], both),
        ([.output], [.prerouting]), ([.prerouting], [.output]),
    ]

    @Test("A change of direction makes and deletes only what comes and goes", arguments: changes)
    func changeOfDirection(_ old: HookSet, _ new: HookSet) {
        let plan = Plan(for: .on(new, deadline: 0), given: .bypassedIstio(old))
        for hook in Hook.allCases {
            let (before, after) = (old.traffic(at: hook), new.traffic(at: hook))
            for traffic in Traffic.allCases {
                let isNew = after == traffic && before != traffic
                let create = Action.createGuardChain(hook, [.ip, .ip6], traffic)
                let replace = Action.replaceGuardRules(hook, [.ip, .ip6], traffic)
                #expect(plan.actions.contains(create) == (isNew && before == nil))
                #expect(plan.actions.contains(replace) == (isNew && before != nil))
                for family in Family.allCases {
                    let insert = Action.insertRule(NATChain(family, hook), traffic)
                    let isForOther = before != traffic || !old.contains(hook)
                    #expect(plan.actions.contains(insert) == (new.contains(hook) && after == traffic && isForOther))
                }
            }
            #expect(plan.actions.contains(.deleteGuardChain(hook)) == (before != nil && after == nil))
            for family in Family.allCases {
                let delete = Action.deleteRule(NATChain(family, hook), handle: hook == .output ? 8 : 7)
                let goes = old.contains(hook) && (!new.contains(hook) || before != after)
                #expect(plan.actions.contains(delete) == goes)
            }
        }
        #expect(!plan.actions.contains(.deleteGuardTable))
        #expect(plan.actions.last == .setEntry(MapEntry(deadline: 0, hooks: new)))
    }
}
