import Bypass
import Testing

@Suite struct PlanOffTests {
    @Test("Off where nothing is does nothing", arguments: [Observation(now: 10), .istio()])
    func ofNothing(_ observation: Observation) {
        #expect(Plan(for: .off, given: observation).actions == [])
    }

    @Test("The matcher says no before the first rule goes; our rules go by handle, the guard as a whole")
    func inIstio() {
        let plan = Plan(for: .off, given: .bypassedIstio())
        #expect(
            plan.actions == [
                .setEntry(MapEntry(deadline: MapEntry.expired, hooks: both)),
                .deleteRule(ipPrerouting, handle: 7), .deleteRule(ipOutput, handle: 8),
                .deleteRule(NATChain(.ip6, .prerouting), handle: 7), .deleteRule(NATChain(.ip6, .output), handle: 8),
                .deleteGuardTable, .removeEntry,
            ])
    }

    @Test("What was made and holds nothing of others goes too, innermost first")
    func whatWasMade() {
        #expect(
            Plan(for: .off, given: .bypassedNothing()).touching(.ip) == [
                .deleteRule(ipPrerouting, handle: 1), .deleteChain(ipPrerouting),
                .deleteRule(ipOutput, handle: 1), .deleteChain(ipOutput), .deleteTable(.ip),
            ])
    }

    @Test("A chain in which another program has put a rule stays, and with it the table")
    func foreignRule() {
        var observation = Observation.bypassedNothing()
        observation.setChain(ipOutput, .init(own: [1], ownIsFirst: true, hasForeignRules: true))
        #expect(
            Plan(for: .off, given: observation).touching(.ip) == [
                .deleteRule(ipPrerouting, handle: 1), .deleteChain(ipPrerouting), .deleteRule(ipOutput, handle: 1),
            ])
    }

    @Test("A table in which another program has made something stays")
    func foreignObjects() {
        var observation = Observation.bypassedNothing()
        observation.tables[.ip]?.hasForeignObjects = true
        let actions = Plan(for: .off, given: observation).touching(.ip)
        #expect(!actions.contains(.deleteTable(.ip)))
        #expect(actions.contains(.deleteChain(ipOutput)))
    }

    @Test("A guard's table in which another program has made something stays, without our chains")
    func sharedGuard() {
        var observation = Observation.bypassedIstio()
        observation.isGuardShared = true
        let actions = Plan(for: .off, given: observation).actions
        #expect(!actions.contains(.deleteGuardTable))
        #expect(actions.filter { $0 == .deleteGuardChain(.output) || $0 == .deleteGuardChain(.prerouting) }.count == 2)
    }

    @Test("A chain of another program's in the place of one that was made is not taken for it")
    func strangerInPlace() {
        var observation = Observation.bypassedNothing()
        observation.setChain(ipOutput, .init(isClosed: true))
        let actions = Plan(for: .off, given: observation).touching(.ip)
        #expect(actions == [.deleteRule(ipPrerouting, handle: 1), .deleteChain(ipPrerouting)])
    }

    @Test("A table stays for a chain that was there before")
    func foreignChain() {
        var observation = Observation.bypassedNothing()
        observation.entry?.created.remove(.chain(ipOutput))
        let actions = Plan(for: .off, given: observation).touching(.ip)
        #expect(!actions.contains(.deleteTable(.ip)))
        #expect(!actions.contains(.deleteChain(ipOutput)))
    }

    @Test("Without an entry no one knows what was made: only rules and the guard go")
    func lostEntry() {
        var observation = Observation.bypassedNothing()
        observation.entry = nil
        #expect(
            Plan(for: .off, given: observation).actions
                == NATChain.all.map { .deleteRule($0, handle: 1) } + [.deleteGuardTable])
    }

    @Test("A bypass that has ended by itself needs no second no")
    func afterTheDeadline() {
        let actions = Plan(for: .off, given: .bypassedIstio(deadline: 5)).actions
        #expect(actions.first == .deleteRule(ipPrerouting, handle: 7))
        #expect(actions.last == .removeEntry)
    }

    @Test("The matcher, to which an implausible deadline has not passed, is stopped before the first rule goes")
    func implausibleDeadline() {
        let actions = Plan(for: .off, given: .bypassedIstio(deadline: MapEntry.implausible)).actions
        guard case .setEntry(let entry) = actions.first else {
            Issue.record("\(actions)")
            return
        }
        #expect(entry.deadline == MapEntry.expired)
    }

    @Test("An entry of a turning on that was cut short goes")
    func unfinished() {
        var observation = Observation(now: 10)
        observation.entry = MapEntry(deadline: MapEntry.expired, hooks: [], created: [.table(.ip), .chain(ipOutput)])
        #expect(Plan(for: .off, given: observation).actions == [.removeEntry])
    }
}
