import Testing

@testable import Bypass

@Suite struct CareTests {
    private func care(
        _ observation: Observation, hooks: Set<Hook>? = both, deadline: UInt64? = 0
    ) -> Care {
        Care(hooks: hooks, deadline: deadline, given: observation)
    }

    @Test("A bypass that is as it was asked for needs nothing, with a record or without")
    func whole() {
        #expect(care(.bypassedIstio()) == .nothing)
        #expect(care(.bypassedIstio([.output], deadline: 99), hooks: nil, deadline: nil) == .nothing)
    }

    @Test("What the matcher has ended is ended, whatever was asked for; so is what should have ended")
    func over() {
        #expect(care(.bypassedIstio(deadline: 5), deadline: 5) == .end)
        #expect(care(.bypassedIstio(deadline: 5), deadline: 99) == .end)
        #expect(care(.bypassedIstio(deadline: Entry.passed), hooks: nil, deadline: nil) == .end)
        #expect(care(.bypassedIstio(deadline: 99), deadline: 5) == .end)
    }

    @Test("A change that a crash interrupted is carried through: the record has what was asked for")
    func interrupted() {
        #expect(care(.bypassedIstio([.output])) == .renew(.on(both, deadline: 0)))
        #expect(care(.bypassedIstio(deadline: 20), deadline: 99) == .renew(.on(both, deadline: 99)))
    }

    @Test("Rules of an older matcher are renewed")
    func upgrade() {
        var observation = Observation.bypassedIstio(deadline: 99)
        observation.entry?.isCurrent = false
        #expect(care(observation, hooks: nil, deadline: nil) == .renew(.on(both, deadline: 99)))
    }

    @Test("Damage is repaired, a lost entry too while there is a record")
    func damage() {
        var observation = Observation.bypassedIstio()
        observation.guardChains = nil
        #expect(care(observation) == .repair(.on(both, deadline: 0)))
        observation = .bypassedIstio()
        observation.entry = nil
        #expect(care(observation) == .repair(.on(both, deadline: 0)))
        #expect(care(observation, deadline: 99) == .repair(.on(both, deadline: 99)))
        #expect(care(observation, deadline: 5) == .end)
        #expect(care(observation, hooks: nil, deadline: nil) == .end)
    }
}

@Suite struct RepairPaceTests {
    private let second: UInt64 = 1_000_000_000

    @Test("The first repair is at once; in a fight the pauses double, up to five minutes")
    func doubling() {
        var pace = RepairPace()
        #expect(pace.next == 0)
        var now = 1000 * second
        var pauses: [UInt64] = []
        for _ in 0..<12 {
            pace.noteRepair(at: now)
            pauses.append((pace.next - now) / second)
            now = pace.next
        }
        #expect(pauses == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300])
    }

    @Test("After a minute of peace the next damage is repaired as fast as the first")
    func peace() {
        var pace = RepairPace()
        for now in [1000, 1002, 1006] { pace.noteRepair(at: UInt64(now) * second) }
        #expect(pace.next == 1014 * second)
        pace.noteRepair(at: 1075 * second)
        #expect(pace.next == 1077 * second)
    }
}
