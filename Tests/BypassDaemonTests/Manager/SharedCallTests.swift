import Linux
import Testing

@testable import BypassDaemon

@Suite struct SharedCallTests {
    /// What executions there were: each waits until the test lets it end.
    private struct Executions {
        var begun = 0
        var allowed = 0
    }

    private let call = SharedCall<Int>()
    private let executions = Monitor(Executions())
    private let answers = Monitor<[Int]>([])

    private func ask() throws {
        try Thread.start("asker") { [call, executions, answers] in
            let answer = call.run {
                let number = executions.update { executions in
                    executions.begun += 1
                    return executions.begun
                }
                executions.wait { $0.allowed >= number ? () : nil }
                return number
            }
            answers.update { $0.append(answer) }
        }
    }

    private func waitForExecution(_ number: Int) -> Bool {
        executions.wait(until: testDeadline()) { $0.begun == number ? () : nil } != nil
    }

    private func allow(_ number: Int) { executions.update { $0.allowed = number } }

    private func answers(_ count: Int) -> [Int]? {
        answers.wait(until: testDeadline()) { $0.count == count ? $0 : nil }
    }

    @Test("All that ask while one is under way share the next one, which begins after their question")
    func shared() throws {
        try ask()
        #expect(waitForExecution(1))
        for _ in 0..<5 { try ask() }
        #expect(eventually { call.waitingCount == 5 })
        allow(1)
        #expect(waitForExecution(2))
        #expect(answers(1) == [1])
        try ask()
        #expect(eventually { call.waitingCount == 5 }, "four that share the second, and one that came too late for it")
        allow(2)
        #expect(waitForExecution(3))
        #expect(answers(6) == [1, 2, 2, 2, 2, 2])
        allow(3)
        #expect(answers(7) == [1, 2, 2, 2, 2, 2, 3])
        #expect(call.waitingCount == 0)
    }

    @Test("One after the other, each has an execution of its own")
    func alone() {
        #expect((1...3).map { number in call.run { number } } == [1, 2, 3])
    }

    @Test("No answer is older than its question, however many ask")
    func fresh() throws {
        let clock = Monitor(0)
        let stale = Monitor(0)
        let threads = try (0..<8).map { _ in
            try Thread.start("asker") {
                let own = SharedCallTests.call
                for _ in 0..<300 {
                    let asked = clock.update {
                        $0 += 1
                        return $0
                    }
                    let answer = own.run { clock.withLock(\.self) }
                    if answer < asked { stale.update { $0 += 1 } }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(stale.withLock(\.self) == 0)
    }

    private static let call = SharedCall<Int>()
}

@Suite struct AfterAnswerTests {
    @Test("What was left is done once, in the order in which it was left")
    func order() {
        let done = Monitor<[Int]>([])
        var after = AfterAnswer()
        for number in 1...3 { after.add { done.update { $0.append(number) } } }
        #expect(done.withLock(\.self) == [])
        after.run()
        after.run()
        #expect(done.withLock(\.self) == [1, 2, 3])
        after.add { done.update { $0.append(4) } }
        after.run()
        #expect(done.withLock(\.self) == [1, 2, 3, 4])
    }
}
