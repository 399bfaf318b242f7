#if FAULT_POINTS
    internal import CLinux
    internal import Glibc
    package import SystemPackage

    /// Injects faults: which system calls of a daemon fail, or are its last. Debug builds only, for tests.
    ///
    /// Between two system calls nothing that a daemon does can be seen from outside, so these are all the moments in which
    /// its end, or an error, can make a difference. A test arms a plan in a file that it and the daemon have mapped; the
    /// variable KMESH_FAULTS names the file to the daemon.
    @safe
    package final class FaultInjection: @unchecked Sendable {
        package enum Fault: Hashable, Sendable {
            /// The call is not made, and fails.
            case fail(Errno)
            /// The process kills itself before the call.
            case killBefore
            /// The process kills itself after the call.
            case killAfter
            /// Of what netlink has sent, half is missing.
            case cut
            /// What netlink has sent is an error.
            case refuse(Errno)
            /// What netlink has sent says that the kernel was interrupted, and that it does not fit together.
            case interrupt
            /// What netlink has sent ends with an error, if it is the end of a dump.
            case breakOff(Errno)
            /// The call is made only once the plan is disarmed.
            case stall
        }

        /// The plan that this process has to follow.
        static let current = ProcessEnvironment["KMESH_FAULTS"].flatMap(FaultInjection.init)

        // All access to it is by atomic operations, or by the test while nothing is armed.
        private let plan: UnsafeMutablePointer<clinux_fault_plan>

        /// The size of the file.
        package static var size: Int { MemoryLayout<clinux_fault_plan>.size }

        /// nil if the file cannot be mapped.
        package init?(path: String) {
            guard let mapped = unsafe clinux_fault_map(path) else { return nil }
            unsafe plan = mapped
        }

        deinit {
            unsafe clinux_fault_unmap(plan)
        }

        // MARK: the test's side

        /// - Parameters:
        ///   - operation: what the operation's name begins with; empty for any.
        ///   - skip: how many of those pass before.
        ///   - times: how many then get the fault.
        package func arm(_ fault: Fault, at operation: String = "", skip: Int = 0, times: Int = 1) {
            var next = clinux_fault_plan()
            switch fault {
            case .fail(let errno): (next.fault, next.error) = (CLINUX_FAULT_FAIL.rawValue, errno.rawValue)
            case .killBefore: next.fault = CLINUX_FAULT_KILL_BEFORE.rawValue
            case .killAfter: next.fault = CLINUX_FAULT_KILL_AFTER.rawValue
            case .cut: next.fault = CLINUX_FAULT_CUT.rawValue
            case .refuse(let errno): (next.fault, next.error) = (CLINUX_FAULT_REFUSE.rawValue, errno.rawValue)
            case .interrupt: next.fault = CLINUX_FAULT_INTERRUPT.rawValue
            case .breakOff(let errno): (next.fault, next.error) = (CLINUX_FAULT_BREAK_OFF.rawValue, errno.rawValue)
            case .stall: next.fault = CLINUX_FAULT_STALL.rawValue
            }
            (next.skip, next.times) = (UInt64(skip), UInt64(times))
            unsafe withUnsafeMutableBytes(of: &next.operation) {
                unsafe $0.copyBytes(from: operation.utf8.prefix($0.count - 1))
            }
            unsafe clinux_fault_arm(plan, &next)
        }

        package func disarm() {
            var nothing = clinux_fault_plan()
            unsafe clinux_fault_arm(plan, &nothing)
        }

        /// The number of calls that have matched since the plan was armed.
        package var seen: Int { unsafe Int(clinux_fault_seen(plan)) }
        package var injected: Int { unsafe Int(clinux_fault_injected(plan)) }
        /// The operation that got the fault last.
        package var last: String {
            unsafe withUnsafeBytes(of: plan.pointee.last) {
                unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
        }

        // MARK: the daemon's side

        /// Carries out a system call, or what is planned for it.
        ///
        /// - Returns: -1, with errno set, if it failed.
        static func call<Result: FixedWidthInteger & SignedInteger>(
            _ operation: () -> String, _ body: () -> Result
        ) -> Result {
            guard let current, current.isForCalls else { return body() }
            switch unsafe clinux_fault(clinux_fault_inject(current.plan, operation())) {
            case CLINUX_FAULT_FAIL:
                errno = unsafe current.plan.pointee.error
                return -1
            case CLINUX_FAULT_KILL_BEFORE: kill(getpid(), SIGKILL)
            case CLINUX_FAULT_KILL_AFTER:
                _ = body()
                kill(getpid(), SIGKILL)
            case CLINUX_FAULT_STALL:
                while unsafe clinux_fault_planned(current.plan) == CLINUX_FAULT_STALL.rawValue { usleep(1000) }
            default: break
            }
            return body()
        }

        /// Does to what netlink has sent what is planned for it.
        ///
        /// - Parameter message: has room for an error message.
        /// - Returns: how long it then is.
        package static func corrupt(_ operation: String, _ message: UnsafeMutableRawPointer, length: Int) -> Int {
            guard let current, !current.isForCalls else { return length }
            return unsafe Int(clinux_fault_corrupt(current.plan, operation, message, UInt32(length)))
        }

        private var isForCalls: Bool {
            switch unsafe clinux_fault(clinux_fault_planned(plan)) {
            case CLINUX_FAULT_FAIL, CLINUX_FAULT_KILL_BEFORE, CLINUX_FAULT_KILL_AFTER, CLINUX_FAULT_STALL: true
            default: false
            }
        }
    }
#endif
