internal import CLinux
internal import Glibc
internal import SystemPackage

/// A thread that the project owns. Kernel work (setns, blocking netlink) happens only on these.
///
/// Stacks are small, since most threads wait for a client most of the time: what lies untouched costs nothing, and a
/// guard page below ends the process where the stack would run over.
package final class Thread: Sendable {
    /// Room for the deepest work there is: reading JSON at the greatest depth that can be set, 256, in a debug build.
    package static let stackSize = 1024 * 1024

    private final class Start {
        let name: String
        let body: @Sendable () -> Void

        init(_ name: String, _ body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    private let hasEnded = Monitor(false)

    private init() {}

    /// Runs `body` on a new thread.
    ///
    /// - Parameters:
    ///   - name: as `top -H` and gdb show it; at most 15 bytes.
    ///   - elsewhere: whether it keeps off the processor that the caller is on now, for all its life, if there is another.
    /// - Throws: EAGAIN if the process may have no more threads.
    @discardableResult
    package static func start(
        _ name: String, elsewhere: Bool = false, _ body: @escaping @Sendable () -> Void
    ) throws(SystemCallError) -> Thread {
        let thread = Thread()
        let start = Start(name) {
            body()
            thread.hasEnded.update { $0 = true }
        }
        let argument = unsafe Unmanaged.passRetained(start)
        do throws(SystemCallError) {
            try systemCall("pthread_create") {
                unsafe clinux_thread_start(UInt64(stackSize), elsewhere, { unsafe Thread.run($0) }, argument.toOpaque())
            }
        } catch {
            unsafe argument.release()
            throw error
        }
        return thread
    }

    /// Waits until the body has returned.
    package func join() {
        hasEnded.wait { $0 ? () : nil }
    }

    /// Runs `body` on this thread and on `count - 1` others side by side, and returns when all have ended. If the process
    /// may have no more threads, fewer do the work.
    ///
    /// Some kernels leave a new thread for milliseconds on the processor of the one that started it, though another is idle.
    package static func inParallel(_ count: Int, named name: String, _ body: @escaping @Sendable () -> Void) {
        let helpers = (1..<max(count, 1)).compactMap { _ in try? Thread.start(name, elsewhere: true, body) }
        body()
        for helper in helpers { helper.join() }
    }

    /// Blocks the calling thread between two attempts. A signal may end the wait early.
    package static func sleep(for interval: Interval) {
        let (seconds, nanoseconds) = interval.nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        var time = timespec(tv_sec: Int(clamping: seconds), tv_nsec: Int(nanoseconds))
        unsafe nanosleep(&time, nil)
    }

    /// Lets other threads run that wait for a processor.
    package static func yield() {
        sched_yield()
    }

    private static func run(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        guard let argument = unsafe argument else { return nil }
        let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
        unsafe clinux_name_thread(start.name)
        start.body()
        return nil
    }
}

/// Settings of the whole process that keep many threads cheap.
package enum ProcessMemory {
    /// Lets all threads share two of malloc's arenas, and maps what is large for itself. With an arena for each thread, an
    /// idle connection would hold what its thread once needed; of a large piece of an arena the hole stays while something
    /// behind it lives.
    package static func bound() {
        clinux_bound_heap()
    }
}
