import Testing

@testable import Bypass

@Suite struct ReconcileDecisionTests {
    private func decision(
        _ observation: Observation, hooks: HookSet? = both, deadline: UInt64? = 0
    ) -> ReconcileDecision {
        ReconcileDecision(hooks: hooks, deadline: deadline, given: observation)
    }

    @Test("A bypass that is as it was asked for needs nothing, with a record or without")
    func whole() {
        #expect(decision(.bypassedIstio()) == .nothing)
        #expect(decision(.bypassedIstio([.output], deadline: 99), hooks: nil, deadline: nil) == .nothing)
    }

    @Test("What the matcher has ended is ended, whatever was asked for; so is what should have ended")
    func over() {
        #expect(decision(.bypassedIstio(deadline: 5), deadline: 5) == .end)
        #expect(decision(.bypassedIstio(deadline: 5), deadline: 99) == .end)
        #expect(decision(.bypassedIstio(deadline: MapEntry.expired), hooks: nil, deadline: nil) == .end)
        #expect(decision(.bypassedIstio(deadline: 99), deadline: 5) == .end)
    }

    @Test("A change that a crash interrupted is carried through: the record has what was asked for")
    func interrupted() {
        #expect(decision(.bypassedIstio([.output])) == .renew(.on(both, deadline: 0)))
        #expect(decision(.bypassedIstio(deadline: 20), deadline: 99) == .renew(.on(both, deadline: 99)))
    }

    @Test("Rules of an older matcher are renewed")
    func upgrade() {
        var observation = Observation.bypassedIstio(deadline: 99)
        observation.entry?.isCurrent = false
        #expect(decision(observation, hooks: nil, deadline: nil) == .renew(.on(both, deadline: 99)))
    }

    @Test("Damage is repaired, a lost entry too while there is a record")
    func damage() {
        var observation = Observation.bypassedIstio()
        observation.guardChains = nil
        #expect(decision(observation) == .repair(.on(both, deadline: 0)))
        observation = .bypassedIstio()
        observation.entry = nil
        #expect(decision(observation) == .repair(.on(both, deadline: 0)))
        #expect(decision(observation, deadline: 99) == .repair(.on(both, deadline: 99)))
        #expect(decision(observation, deadline: 5) == .end)
        #expect(decision(observation, hooks: nil, deadline: nil) == .end)
    }
}
