import Synchronization
import Testing

@testable import BypassController

@Suite(.timeLimit(.minutes(1))) struct AsyncSemaphoreTests {
    private final class Visitors: Sendable {
        let inside = Mutex(0)
        let most = Mutex(0)
        let done = Mutex(0)

        func visit() async {
            let count = inside.withLock { inside in
                inside += 1
                return inside
            }
            most.withLock { $0 = max($0, count) }
            await Task.yield()
            inside.withLock { $0 -= 1 }
            done.withLock { $0 += 1 }
        }
    }

    private struct Cancelled: Error {}

    /// Whether a task has ended.
    private final class Flag: Sendable {
        private let state = Mutex(false)
        var isSet: Bool { state.withLock(\.self) }
        func set() { state.withLock { $0 = true } }
    }

    /// Waits for a permit.
    ///
    /// - Returns: whether it got one.
    private static func pass(_ semaphore: AsyncSemaphore) async -> Bool {
        do throws(Cancelled) {
            try await semaphore.withPermit(orThrow: Cancelled()) { () throws(Cancelled) -> Void in }
            return true
        } catch {
            return false
        }
    }

    @Test("Only so many run at a time, and every task runs")
    func permits() async {
        let semaphore = AsyncSemaphore(permits: 3)
        let visitors = Visitors()
        await withDiscardingTaskGroup { group in
            for _ in 0..<50 {
                group.addTask {
                    try? await semaphore.withPermit(orThrow: Cancelled()) { () throws(Cancelled) -> Void in
                        await visitors.visit()
                    }
                }
            }
        }
        #expect(visitors.most.withLock(\.self) <= 3)
        #expect(visitors.done.withLock(\.self) == 50)
    }

    @Test("A cancelled task leaves the queue while the permit is still held; those behind it get the permit")
    func cancellation() async throws {
        let semaphore = AsyncSemaphore(permits: 1)
        let (holds, mayEnd, hasLeft) = (Flag(), Flag(), Flag())
        func until(_ flag: Flag, tries: Int = 400) async {
            for _ in 0..<tries where !flag.isSet { try? await Task.sleep(for: .milliseconds(5)) }
        }
        let holder = Task {
            try await semaphore.withPermit(orThrow: Cancelled()) { () throws(Cancelled) -> Void in
                holds.set()
                await until(mayEnd, tries: 4000)
            }
        }
        await until(holds)
        let cancelled = Task {
            let hasPassed = await Self.pass(semaphore)
            hasLeft.set()
            return hasPassed
        }
        // It is in the queue by then, nearly always; the result is the same if it is not.
        try await Task.sleep(for: .milliseconds(50))
        let next = Task { await Self.pass(semaphore) }
        cancelled.cancel()
        await until(hasLeft)
        #expect(hasLeft.isSet)
        mayEnd.set()
        try await holder.value
        #expect(await !cancelled.value)
        #expect(await next.value)
        #expect(await Self.pass(semaphore))
    }
}
