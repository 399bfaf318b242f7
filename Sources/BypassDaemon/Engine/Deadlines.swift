internal import Linux
internal import NIOCore
internal import Synchronization

/// One alarm for each bypass that ends by itself.
final class Deadlines: Sendable {
    private let loop: any EventLoop
    private let alarms = Mutex<[UInt64: Scheduled<Void>]>([:])

    init(on loop: any EventLoop) {
        self.loop = loop
    }

    /// Sets the alarm of a namespace, in the place of an earlier one.
    ///
    /// - Parameter deadline: CLOCK_BOOTTIME in nanoseconds; 0 for none.
    func set(_ inode: UInt64, to deadline: UInt64, _ body: @escaping @Sendable () -> Void) {
        guard deadline != 0 else { return cancel(inode) }
        let now = BootClock.now
        let left = deadline > now ? Int64(clamping: deadline - now) : 0
        let alarm = loop.scheduleTask(in: .nanoseconds(left)) {
            self.alarms.withLock { $0[inode] = nil }
            body()
        }
        alarms.withLock { $0.updateValue(alarm, forKey: inode) }?.cancel()
    }

    func cancel(_ inode: UInt64) {
        alarms.withLock { $0.removeValue(forKey: inode) }?.cancel()
    }
}
