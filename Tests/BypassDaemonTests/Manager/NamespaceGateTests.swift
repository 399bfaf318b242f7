import Linux
import Testing

@testable import BypassDaemon

/// The gate with real threads.
@Suite struct NamespaceGateTests {
    private let gate = NamespaceGate()

    /// Runs `body` on threads of their own, and waits for all of them.
    private func run(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) throws {
        let left = Monitor(count)
        for number in 0..<count {
            try Thread.start("gate test") {
                body(number)
                left.update { $0 -= 1 }
            }
        }
        #expect(left.wait(until: testDeadline()) { $0 == 0 ? () : nil } != nil, "a call was never let in")
    }

    @Test("Many threads all get their turns, and no two work on one namespace")
    func exclusion() throws {
        let working = Monitor<Set<UInt64>>([])
        let (done, clashes) = (Monitor(0), Monitor(0))
        let gate = self.gate
        try run(24) { number in
            let principal: FairScheduler.Principal =
                number % 6 == 0 ? .maintenance : number % 6 == 1 ? .priority(0) : .account(UInt32(number % 6))
            for step in 0..<100 {
                let place = gate.enter(principal)
                let namespace = UInt64((number * 7 + step * 3) % 5)
                gate.claim(namespace, for: place)
                if !working.update({ $0.insert(namespace).inserted }) { clashes.update { $0 += 1 } }
                working.update { _ = $0.remove(namespace) }
                gate.leave(place)
                done.update { $0 += 1 }
            }
        }
        #expect(clashes.withLock(\.self) == 0)
        #expect(done.withLock(\.self) == 2400)
    }

    @Test("Calls that block hold up no other call, though none of them ends")
    func blocked() throws {
        let gate = self.gate
        let places = [1, 1, 2, 2].map { gate.enter(.account($0)) }
        for (number, place) in places.enumerated() { gate.claim(UInt64(number), for: place) }
        try run(8) { number in
            let place = gate.enter(.account(UInt32(100 + number)))
            gate.claim(UInt64(1000 + number), for: place)
            gate.leave(place)
        }
        for place in places { gate.leave(place) }
    }

    @Test("A call that waits for a busy namespace goes on when that is free")
    func busyNamespace() throws {
        let holder = gate.enter(.account(1))
        gate.claim(9, for: holder)
        let (gate, entered) = (self.gate, Monitor(0))
        try Thread.start("holder") {
            // The others wait for the namespace, and one works elsewhere meanwhile.
            entered.wait { $0 == 5 ? () : nil }
            gate.leave(holder)
        }
        try run(5) { number in
            let place = gate.enter(.account(2))
            entered.update { $0 += 1 }
            gate.claim(number == 4 ? 10 : 9, for: place)
            gate.leave(place)
        }
    }
}
