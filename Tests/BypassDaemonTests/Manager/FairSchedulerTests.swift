import Linux
import Testing

@testable import BypassDaemon

@Suite struct FairSchedulerTests {
    private typealias Ticket = FairScheduler.Ticket
    private typealias Principal = FairScheduler.Principal

    /// A scheduler, and which calls it lets run, with time that stands still.
    private struct Desk {
        var scheduler = FairScheduler()
        var now = Instant(nanoseconds: 5_000_000_000)
        var running: Set<Ticket> = []
        /// In the order in which they were let run.
        var order: [Ticket] = []

        mutating func request(_ principal: Principal, _ namespace: UInt64? = nil) -> Ticket {
            let (ticket, isGranted, granted) = scheduler.request(principal, namespace, at: now)
            start((isGranted ? [ticket] : []) + granted)
            return ticket
        }

        mutating func claim(_ namespace: UInt64, for ticket: Ticket) {
            running.remove(ticket)
            let (isGranted, granted) = scheduler.claim(namespace, for: ticket, at: now)
            start((isGranted ? [ticket] : []) + granted)
        }

        @discardableResult
        mutating func release(_ ticket: Ticket) -> [Ticket] {
            #expect(running.remove(ticket) != nil, "a call that does not run cannot end")
            let granted = scheduler.release(ticket, at: now)
            start(granted)
            return granted
        }

        mutating func pass(_ milliseconds: Int) {
            now = now + .milliseconds(milliseconds)
            start(scheduler.grant(at: now))
        }

        private mutating func start(_ tickets: [Ticket]) {
            for ticket in tickets { #expect(running.insert(ticket).inserted, "a call was let run twice") }
            order += tickets
        }
    }

    // MARK: places

    @Test("A principal has a few places, and its other calls wait in their order")
    func places() {
        var desk = Desk()
        let calls = (0..<5).map { _ in desk.request(.account(7)) }
        #expect(desk.order == [calls[0], calls[1]])
        #expect(desk.release(calls[1]) == [calls[2]])
        #expect(desk.release(calls[0]) == [calls[3]])
        #expect(desk.release(calls[2]) == [calls[4]])
        #expect(desk.scheduler.waitingCount == 0)
    }

    @Test("The places of a pool are bounded, whatever its principals have")
    func pool() {
        var desk = Desk()
        let calls = (1...6).map { desk.request(.account(UInt32($0))) }
        #expect(desk.order == Array(calls.prefix(FairScheduler.placesPerPool)))
        #expect(desk.release(calls[2]) == [calls[4]])
    }

    @Test("Places go round the principals, however many calls one of them has")
    func roundRobin() {
        var desk = Desk()
        let first = (0..<20).map { _ in desk.request(.account(1)) }
        let others = [2, 2, 3, 3].map { desk.request(.account($0)) }
        let second = (0..<3).map { _ in desk.request(.account(2)) }
        // Two of account 1 run, and two of account 2. Each place that is given back goes to the one served longest ago.
        #expect(desk.order == [first[0], first[1], others[0], others[1]])
        #expect(desk.release(first[0]) == [first[2]], "no principal has waited for another until now")
        #expect(desk.release(others[0]) == [others[2]])
        #expect(desk.release(first[1]) == [second[0]])
        #expect(desk.release(others[1]) == [first[3]])
        #expect(desk.release(first[2]) == [others[3]])
    }

    @Test("A principal with few calls waits for one of each other at most")
    func few() {
        var desk = Desk()
        for account in 1...10 { for _ in 0..<30 { _ = desk.request(.account(UInt32(account))) } }
        let late = desk.request(.account(99))
        var ended = 0
        while !desk.running.contains(late) {
            desk.release(desk.running.min() ?? 0)
            ended += 1
            if ended > 11 { break }
        }
        #expect(ended <= 11)
    }

    @Test("Root and the maintenance have places of their own, and a pool that is full holds up no other")
    func pools() {
        var desk = Desk()
        for account in 1...5 { for _ in 0..<5 { _ = desk.request(.account(UInt32(account))) } }
        for principal in [Principal.priority(0), .maintenance] {
            let calls = (0..<6).map { _ in desk.request(principal) }
            #expect(calls.map(desk.running.contains) == [true, true, true, true, false, false])
        }
        #expect(desk.running.count == 12)
        let root = desk.running.subtracting(desk.order.prefix(4)).min() ?? 0
        #expect(desk.release(root).count == 1)
    }

    // MARK: namespaces

    @Test("One call at a time works on a namespace, and the next ones follow in their order")
    func namespace() {
        var desk = Desk()
        let calls = (1...4).map { desk.request(.account(UInt32($0))) }
        for call in calls { desk.claim(9, for: call) }
        #expect(desk.running == [calls[0]])
        for (call, next) in zip(calls, calls.dropFirst()) { #expect(desk.release(call) == [next]) }
        #expect(desk.release(calls[3]) == [])
    }

    @Test("Calls that wait for a busy namespace hold no places")
    func waitingForANamespace() {
        var desk = Desk()
        let holder = desk.request(.account(1))
        desk.claim(9, for: holder)
        for _ in 0..<20 {
            let call = desk.request(.account(2))
            #expect(desk.running.contains(call))
            desk.claim(9, for: call)
            #expect(!desk.running.contains(call))
        }
        let others = [desk.request(.account(2)), desk.request(.account(2)), desk.request(.account(3))]
        #expect(others.allSatisfy(desk.running.contains))
        for call in others {
            desk.claim(UInt64(call) + 100, for: call)
            #expect(desk.running.contains(call))
        }
    }

    @Test("A namespace goes round the principals, too")
    func namespaceRounds() {
        var desk = Desk()
        let holder = desk.request(.account(1), 9)
        let greedy = (0..<10).map { _ in desk.request(.account(1), 9) }
        let late = desk.request(.account(2), 9)
        #expect(desk.release(holder) == [greedy[0]])
        #expect(desk.release(greedy[0]) == [late])
        #expect(desk.release(late) == [greedy[1]])
    }

    @Test("A principal that works elsewhere gets a namespace that another asks for all the time")
    func noStarvation() {
        var desk = Desk()
        var holder = desk.request(.account(1), 9)
        let waiting = desk.request(.account(2), 9)
        var next = desk.request(.account(1), 9)
        var turns = 0
        while !desk.running.contains(waiting) && turns < 20 {
            // Account 2 is served elsewhere just before each turn.
            let elsewhere = desk.request(.account(2))
            desk.claim(1000, for: elsewhere)
            desk.release(elsewhere)
            desk.release(holder)
            (holder, next) = (next, desk.request(.account(1), 9))
            turns += 1
        }
        #expect(turns <= 2, "it waited for \(turns) turns")
    }

    @Test("A call that waits for its principal's places holds up no other principal's on its namespace")
    func noHeadOfLine() {
        var desk = Desk()
        let blocked = [desk.request(.account(1), 100), desk.request(.account(1), 101)]
        let first = desk.request(.account(1), 9)
        let second = desk.request(.account(2), 9)
        #expect(!desk.running.contains(first) && desk.running.contains(second))
        desk.release(second)
        #expect(!desk.running.contains(first))
        #expect(desk.release(blocked[0]) == [first])
    }

    // MARK: slow calls

    @Test("A slow call gives the pool's place back, and not its principal's")
    func slow() {
        var desk = Desk()
        let blocked = [1, 1, 2, 2].map { desk.request(.account($0)) }
        let (own, other) = (desk.request(.account(1)), desk.request(.account(3)))
        #expect(desk.scheduler.nextSlow == desk.now + FairScheduler.slowAfter)
        desk.pass(19)
        #expect(desk.running == Set(blocked))
        desk.pass(1)
        #expect(desk.running == Set(blocked + [other]))
        #expect(desk.scheduler.nextSlow == desk.now + FairScheduler.slowAfter, "of the other one")
        desk.pass(1000)
        #expect(desk.scheduler.nextSlow == nil)
        #expect(!desk.running.contains(own))
        #expect(desk.release(blocked[0]) == [own])
    }

    @Test("A namespace stays its slow call's own")
    func slowNamespace() {
        var desk = Desk()
        let holder = desk.request(.account(1), 9)
        let next = desk.request(.account(2), 9)
        desk.pass(10_000)
        #expect(desk.running == [holder])
        #expect(desk.release(holder) == [next])
    }

    @Test("A place that a slow call has given back goes to who waits, not to who comes just then")
    func noBarging() {
        var desk = Desk()
        for account in [1, 1, 2, 2] { _ = desk.request(.account(UInt32(account))) }
        let waiting = (3...6).map { desk.request(.account(UInt32($0))) }
        desk.now = desk.now + FairScheduler.slowAfter
        let late = desk.request(.account(7))
        #expect(waiting.allSatisfy(desk.running.contains))
        #expect(!desk.running.contains(late))
    }

    @Test("A ticket that is not running cannot be released or used for a claim")
    func unknownTickets() {
        var desk = Desk()
        let calls = (0..<3).map { _ in desk.request(.account(1)) }
        #expect(desk.scheduler.release(calls[2], at: desk.now) == [])
        #expect(desk.scheduler.release(12345, at: desk.now) == [])
        #expect(desk.scheduler.claim(9, for: calls[2], at: desk.now) == (false, []))
        #expect(desk.release(calls[0]) == [calls[2]])
    }
}
