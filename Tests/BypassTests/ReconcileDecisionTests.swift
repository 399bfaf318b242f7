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

@Suite struct ExponentialBackoffTests {
    private let second: UInt64 = 1_000_000_000

    @Test("The first repair is at once; in a fight the pauses double, up to five minutes")
    func doubling() {
        var backoff = ExponentialBackoff.repair
        #expect(backoff.next == 0)
        var now = 1000 * second
        var pauses: [UInt64] = []
        for _ in 0..<12 {
            backoff.recordAttempt(at: now)
            pauses.append((backoff.next - now) / second)
            now = backoff.next
        }
        #expect(pauses == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300])
    }

    @Test("After a minute without damage the next repair is as fast as the first")
    func reset() {
        var backoff = ExponentialBackoff.repair
        for now in [1000, 1002, 1006] { backoff.recordAttempt(at: UInt64(now) * second) }
        #expect(backoff.next == 1014 * second)
        backoff.recordAttempt(at: 1075 * second)
        #expect(backoff.next == 1077 * second)
    }
}
