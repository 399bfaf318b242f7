import Testing

@testable import Linux

/// By when a test expects what it waits for: much later than it happens on a slow machine.
private func testDeadline() -> Instant { .now + .seconds(20) }

@Suite struct MonitorTests {
    @Test("Changes of many threads are not lost, and who waits sees the last one")
    func changes() throws {
        let count = Monitor(0)
        for _ in 0..<8 { try Thread.start("test") { for _ in 0..<1000 { count.update { $0 += 1 } } } }
        #expect(count.wait(until: testDeadline()) { $0 == 8000 ? $0 : nil } == 8000)
    }

    @Test("A wait ends at its deadline, and not before")
    func deadline() {
        let began = Instant.now
        #expect(Monitor(false).wait(until: began + .milliseconds(50)) { $0 ? () : nil } == nil)
        #expect(Instant.now - began >= .milliseconds(50))
    }

    @Test("What is so at once needs no wait, even past the deadline")
    func atOnce() {
        #expect(Monitor(7).wait(until: Instant(nanoseconds: 0)) { $0 } == 7)
        #expect(Monitor(7).wait { $0 } == 7)
    }

    @Test("A deadline is that of the call, however often the wait is woken")
    func fixedDeadline() throws {
        let (monitor, isOver) = (Monitor(0), Monitor(false))
        let other = try Thread.start("test") {
            while !isOver.withLock(\.self) { monitor.update { $0 += 1 } }
        }
        let began = Instant.now
        #expect(monitor.wait(until: .now + .milliseconds(50)) { $0 < 0 ? () : nil } == nil)
        #expect(Instant.now - began < .seconds(20))
        isOver.update { $0 = true }
        other.join()
    }

    @Test("A wait that updates wake asks for its deadline again")
    func movedDeadline() throws {
        let deadline = Monitor(testDeadline())
        let began = Monitor(false)
        try Thread.start("test") {
            began.wait { $0 ? () : nil }
            deadline.update { $0 = .now }
        }
        let result = deadline.waitWithDeadline { current, next -> Bool? in
            next = current
            began.update { $0 = true }
            return nil
        }
        #expect(result == nil)
    }

    @Test("An error of the body gives the lock back")
    func failure() {
        struct Failure: Error {}
        let monitor = Monitor(1)
        #expect(throws: Failure.self) { try monitor.withLock { _ throws(Failure) in throw Failure() } }
        #expect(monitor.withLock(\.self) == 1)
    }

    @Test("Two threads that wait for each other take turns")
    func turns() throws {
        let turn = Monitor(0)
        let other = try Thread.start("test") {
            for number in 0..<1000 {
                turn.wait { $0 == 2 * number + 1 ? () : nil }
                turn.update { $0 += 1 }
            }
        }
        for number in 0..<1000 {
            turn.update { $0 += 1 }
            guard turn.wait(until: testDeadline(), { $0 == 2 * number + 2 ? () : nil }) != nil else {
                Issue.record("a wake-up was lost in turn \(number)")
                turn.update { $0 = 0 }
                return
            }
        }
        other.join()
    }
}

@Suite struct ThreadTests {
    @Test("A thread has its name, and join returns when its body has")
    func start() throws {
        let name = Monitor("")
        let thread = try Thread.start("test thread") {
            let own = (try? Files.text("/proc/thread-self/comm")) ?? ""
            name.update { $0 = own }
        }
        thread.join()
        thread.join()
        #expect(name.withLock(\.self) == "test thread\n")
    }

    @Test("Side by side, the calling thread takes part, and all have ended afterwards", arguments: [0, 1, 2, 5])
    func inParallel(_ count: Int) {
        let caller = Self.id()
        let threads = Monitor<[String]>([])
        Thread.inParallel(count, named: "test") { threads.update { $0.append(Self.id()) } }
        let all = threads.withLock(\.self)
        #expect(all.count == max(count, 1) && Set(all).count == all.count)
        #expect(all.contains(caller))
    }

    @Test("A thread elsewhere keeps off a processor that its starter was on, unless that has no other")
    func elsewhere() {
        let own = Self.processors()
        let found = Monitor<[Set<Int>]>([])
        Self.startElsewhere(own.count, found)
        let sets = [own] + found.withLock(\.self)
        #expect(zip(sets, sets.dropFirst()).allSatisfy { $1.isSubset(of: $0) })
        #expect(sets.map(\.count) == (1...own.count).reversed() + [1])
    }

    /// As many threads, each started by the last one, and which processors each may run on.
    private static func startElsewhere(_ count: Int, _ found: Monitor<[Set<Int>]>) {
        if count == 0 { return }
        let thread = try? Thread.start("test", elsewhere: true) {
            found.update { $0.append(processors()) }
            startElsewhere(count - 1, found)
        }
        thread?.join()
    }

    /// Those that the calling thread may run on.
    private static func processors() -> Set<Int> {
        let status = (try? Files.text("/proc/thread-self/status")) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") } ?? ""
        var processors: Set<Int> = []
        for range in line.split(separator: "\t").last?.split(separator: ",") ?? [] {
            let ends = range.split(separator: "-").compactMap { Int($0) }
            if let first = ends.first, let last = ends.last { processors.formUnion(first...last) }
        }
        return processors
    }

    /// A name of the calling thread that no other has.
    private static func id() -> String { Files.link("/proc/thread-self") ?? "" }
}

@Suite struct WorkQueueTests {
    @Test("Work is done in the order in which it falls due, and of equal times in that in which it came")
    func order() throws {
        let queue = try WorkQueue("test queue")
        let done = Monitor<[Int]>([])
        let (isHeld, gate) = (Monitor(false), Monitor(false))
        queue.add {
            isHeld.update { $0 = true }
            gate.wait { $0 ? () : nil }
        }
        isHeld.wait { $0 ? () : nil }
        let now = Instant.now
        for (number, due) in [(4, 30), (1, 0), (5, 30), (3, 20), (2, 0)] {
            queue.add(at: due == 0 ? nil : now + .milliseconds(due)) { done.update { $0.append(number) } }
        }
        gate.update { $0 = true }
        #expect(done.wait(until: testDeadline()) { $0.count == 5 ? $0 : nil } == [1, 2, 3, 4, 5])
        #expect(Instant.now >= now + .milliseconds(30))
        queue.stop()
    }

    @Test("Work that falls due earlier than what the queue sleeps for is not late")
    func earlier() throws {
        let queue = try WorkQueue("test queue")
        let done = Monitor(false)
        queue.add(at: .now + .seconds(3600)) {}
        queue.add(at: .now + .milliseconds(20)) { done.update { $0 = true } }
        #expect(done.wait(until: testDeadline()) { $0 ? () : nil } != nil)
        queue.stop()
    }

    @Test("Work may hand in work")
    func nested() throws {
        let queue = try WorkQueue("test queue")
        let done = Monitor(0)
        queue.add { queue.add { queue.add { done.update { $0 += 1 } } } }
        #expect(done.wait(until: testDeadline()) { $0 == 1 ? () : nil } != nil)
        queue.stop()
    }

    @Test(
        "At its end a queue does what is due, unless that is discarded, and never what is not",
        arguments: [false, true])
    func stop(_ discards: Bool) throws {
        let queue = try WorkQueue("test queue")
        let done = Monitor<[Int]>([])
        let (isHeld, gate) = (Monitor(false), Monitor(false))
        queue.add {
            isHeld.update { $0 = true }
            gate.wait { $0 ? () : nil }
        }
        isHeld.wait { $0 ? () : nil }
        for number in 1...3 { queue.add { done.update { $0.append(number) } } }
        queue.add(at: .now + .seconds(3600)) { done.update { $0.append(4) } }
        let stopped = Monitor(false)
        try Thread.start("test") {
            queue.stop(discardingPending: discards)
            stopped.update { $0 = true }
        }
        // The queue is asked to stop while its thread is held. Whether it has been asked by now changes nothing but what
        // the last line would find.
        if discards { _ = stopped.wait(until: .now + .milliseconds(200)) { $0 ? () : nil } }
        gate.update { $0 = true }
        #expect(stopped.wait(until: testDeadline()) { $0 ? () : nil } != nil)
        #expect(done.withLock(\.self) == (discards ? [] : [1, 2, 3]))
        queue.stop()
    }

    @Test("Several threads work side by side, and what is handed in is done once")
    func sideBySide() throws {
        let queue = try WorkQueue("test queue", threads: 3)
        let together = Monitor(0)
        for _ in 0..<3 {
            queue.add {
                together.update { $0 += 1 }
                together.wait { $0 >= 3 ? () : nil }
            }
        }
        #expect(together.wait(until: testDeadline()) { $0 == 3 ? () : nil } != nil)
        let done = Monitor(0)
        for _ in 0..<1000 { queue.add { done.update { $0 += 1 } } }
        queue.stop()
        #expect(done.withLock(\.self) == 1000)
    }
}
