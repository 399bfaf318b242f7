internal import CLinux
internal import Glibc
package import SystemPackage

/// A system call that failed: which, on what, and why.
package struct SystemCallError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The call, and what it was done to where that helps, such as `open /run/netns/web`.
    package var operation: String
    package var errno: Errno

    package init(_ operation: String, _ errno: Errno) {
        self.operation = operation
        self.errno = errno
    }

    package var description: String { "\(operation): \(errno)" }

    /// Whether it says that what was asked for is not there. Any other error says nothing about that.
    package var meansAbsent: Bool {
        [.noSuchFileOrDirectory, .notDirectory, .noSuchProcess].contains(errno)
    }

    /// Whether the machine, or this process, has run out of something: that says nothing about what was asked for.
    package var isShortage: Bool {
        [.tooManyOpenFiles, .tooManyOpenFilesInSystem, .noMemory].contains(errno)
    }
}

/// The one funnel for system calls of the modules that own descriptors: EINTR is retried, EBADF is a fault of ours and
/// ends the process, everything else is thrown with the name of the operation.
///
/// - Parameters:
///   - retriesInterrupted: false for a wait that a signal is meant to end.
///   - body: returns -1 and sets errno on failure.
@discardableResult
@specialized(where Result == CInt)
@specialized(where Result == Int)
package func systemCall<Result: FixedWidthInteger & SignedInteger>(
    _ operation: @autoclosure () -> String, retriesInterrupted: Bool = true, _ body: () -> Result
) throws(SystemCallError) -> Result {
    while true {
        #if FAULT_POINTS
            let result = FaultInjection.call(operation, body)
        #else
            let result = body()
        #endif
        if result != -1 { return result }
        let errno = Errno.current
        if errno == .interrupted && retriesInterrupted { continue }
        precondition(errno != .badFileDescriptor, "\(operation()): a descriptor was used after it was closed")
        throw SystemCallError(operation(), errno)
    }
}

extension Errno {
    /// The error of the calling thread's last system call.
    static var current: Errno { Errno(rawValue: Glibc.errno) }

    /// The name in errno(3), such as `EPERM`; `E` and the number where it has none.
    package var name: String {
        guard let name = unsafe clinux_errno_name(rawValue) else { return "E\(rawValue)" }
        return unsafe String(cString: name)
    }
}
