internal import Glibc

/// A file descriptor with one owner, closed when its owner lets go of it.
public struct OwnedDescriptor: ~Copyable, Sendable {
    /// Valid as long as the owner lives: only for handing to a system call.
    public let rawValue: CInt

    /// Takes over a descriptor that nobody else closes.
    public init(adopting rawValue: CInt) {
        self.rawValue = rawValue
    }

    /// Gives the descriptor away to somebody who closes it.
    public consuming func release() -> CInt {
        let value = rawValue
        discard self
        return value
    }

    deinit {
        // Linux frees the number whatever close returns: a retry could close somebody else's descriptor.
        _ = Glibc.close(rawValue)
    }
}

/// A descriptor that can be captured by an escaping closure: it is closed when the last reference goes.
public final class SharedDescriptor: Sendable {
    public let descriptor: OwnedDescriptor

    public init(_ descriptor: consuming OwnedDescriptor) {
        self.descriptor = descriptor
    }

    /// The same open file under another number, for somebody who closes that.
    public func duplicate() throws(SystemCallError) -> CInt {
        try systemCall("fcntl F_DUPFD_CLOEXEC") { fcntl(descriptor.rawValue, F_DUPFD_CLOEXEC, 0) }
    }
}
