import Linux
import Testing

@testable import BypassDaemon

/// The scheduler's promises, whatever calls come in whatever order.
@Suite struct FairSchedulerPropertyTests {
    private typealias Ticket = FairScheduler.Ticket
    private typealias Principal = FairScheduler.Principal

    /// What has to hold, kept beside the scheduler.
    private struct Model {
        struct Call {
            var principal: Principal
            var namespace: UInt64?
            var since: Instant
        }

        var scheduler = FairScheduler()
        var now = Instant(nanoseconds: 5_000_000_000)
        var running: [Ticket: Call] = [:]
        var waiting: [Ticket: Call] = [:]

        mutating func request(_ principal: Principal) {
            let (ticket, isGranted, granted) = scheduler.request(principal, at: now)
            waiting[ticket] = Call(principal: principal, since: now)
            start(granted + (isGranted ? [ticket] : []))
        }

        mutating func claim(_ namespace: UInt64, for ticket: Ticket) {
            guard var call = running.removeValue(forKey: ticket) else { return }
            // One that does not have to wait keeps the place that it has had since it began.
            let isFree = !(Array(running.values) + waiting.values).contains { $0.namespace == namespace }
            call.namespace = namespace
            let (isGranted, granted) = scheduler.claim(namespace, for: ticket, at: now)
            if isFree && isGranted { running[ticket] = call } else { waiting[ticket] = call }
            start(granted + (isGranted && !isFree ? [ticket] : []))
        }

        mutating func release(_ ticket: Ticket) {
            running[ticket] = nil
            start(scheduler.release(ticket, at: now))
        }

        mutating func pass(_ time: Interval) {
            now = now + time
            start(scheduler.grant(at: now))
        }

        private mutating func start(_ tickets: [Ticket]) {
            for ticket in tickets {
                guard var call = waiting.removeValue(forKey: ticket) else {
                    Issue.record("ticket \(ticket) was let run though it did not wait")
                    continue
                }
                call.since = now
                running[ticket] = call
            }
        }

        private func pool(_ principal: Principal) -> Int {
            switch principal {
            case .account: 0
            case .priority: 1
            default: 2
            }
        }

        private func places(_ principal: Principal) -> Int {
            pool(principal) == 0 ? FairScheduler.placesPerAccount : FairScheduler.placesPerPool
        }

        /// What is wrong; nil if nothing is.
        var fault: String? {
            let namespaces = running.values.compactMap(\.namespace)
            if Set(namespaces).count < namespaces.count { return "two calls work on one namespace" }
            var (own, inPool): ([Principal: Int], [Int: Int]) = ([:], [:])
            for call in running.values {
                own[call.principal, default: 0] += 1
                if now < call.since + FairScheduler.slowAfter { inPool[pool(call.principal), default: 0] += 1 }
            }
            if own.contains(where: { $0.value > places($0.key) }) { return "a principal has too many places" }
            if inPool.values.contains(where: { $0 > FairScheduler.placesPerPool }) { return "a pool is too full" }
            for (ticket, call) in waiting {
                let isFree = call.namespace.map { !namespaces.contains($0) } ?? true
                if isFree && own[call.principal, default: 0] < places(call.principal)
                    && inPool[pool(call.principal), default: 0] < FairScheduler.placesPerPool
                {
                    return "ticket \(ticket) waits though it could run"
                }
            }
            return waiting.count == scheduler.waitingCount ? nil : "a ticket is lost"
        }
    }

    private static let principals: [Principal] =
        (1...5).map { Principal.account($0) } + [.priority(0), .priority(900), .maintenance]

    @Test(
        "Places and namespaces are never given twice, none stays empty while a call could have it, and all calls end",
        arguments: 1...60)
    func invariants(_ seed: UInt64) {
        var random = SplitMix(state: seed)
        var model = Model()
        var begun = 0
        for _ in 0..<600 {
            let ticket = model.running.keys.sorted().randomElement(using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<4:
                model.request(Self.principals.randomElement(using: &random) ?? .maintenance)
                begun += 1
            case 4..<6:
                if let ticket, model.running[ticket]?.namespace == nil {
                    model.claim(UInt64.random(in: 1...4, using: &random), for: ticket)
                }
            case 6..<9: if let ticket { model.release(ticket) }
            default: model.pass(.milliseconds(Int.random(in: 0...15, using: &random)))
            }
            // Calls that have become slow by now give back with the next step.
            model.pass(.milliseconds(0))
            if let fault = model.fault {
                Issue.record("\(fault), with seed \(seed)")
                return
            }
        }
        var ended = 0
        while let ticket = model.running.keys.min() {
            model.release(ticket)
            ended += 1
        }
        #expect(model.waiting.isEmpty && ended <= begun)
    }

    @Test("No call waits for more than a few calls of each other principal", arguments: 1...20)
    func noStarvation(_ seed: UInt64) {
        var random = SplitMix(state: seed)
        var model = Model()
        /// How many calls have been let run since a call began to wait, by its ticket.
        var since: [Ticket: Int] = [:]
        var (started, most) = (0, 0)
        for _ in 0..<4000 {
            // All principals have more calls than places, on three namespaces.
            while model.waiting.count + model.running.count < 40 {
                let before = Set(model.running.keys)
                model.request(Self.principals.prefix(5).randomElement(using: &random) ?? .maintenance)
                started += Set(model.running.keys).subtracting(before).count
            }
            for ticket in model.waiting.keys where since[ticket] == nil { since[ticket] = started }
            guard let ticket = model.running.keys.sorted().randomElement(using: &random) else { break }
            let before = Set(model.running.keys)
            if model.running[ticket]?.namespace == nil {
                model.claim(UInt64.random(in: 1...3, using: &random), for: ticket)
                since[ticket] = model.waiting[ticket] == nil ? nil : started
            } else {
                model.release(ticket)
            }
            started += Set(model.running.keys).subtracting(before).count
            for ticket in since.keys where model.waiting[ticket] == nil {
                most = max(most, started - (since.removeValue(forKey: ticket) ?? started))
            }
            model.pass(.microseconds(10))
        }
        // Forty calls, of which each has two turns: for its place and for its namespace.
        #expect(most <= 400, "a call waited for \(most) others")
    }
}

/// The generator of Steele, Lea and Flood: the same numbers for the same seed.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
