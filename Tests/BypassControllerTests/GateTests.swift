import Synchronization
import Testing

@testable import BypassController

@Suite struct GateTests {
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

    @Test("Only so many are in at a time, and everybody gets in")
    func places() async {
        let gate = Gate(3)
        let visitors = Visitors()
        await withDiscardingTaskGroup { group in
            for _ in 0..<50 { group.addTask { await gate.run { await visitors.visit() } } }
        }
        #expect(visitors.most.withLock(\.self) <= 3)
        #expect(visitors.done.withLock(\.self) == 50)
    }
}
