internal import Glibc

/// A file descriptor with one owner, closed when its owner goes away.
package struct OwnedDescriptor: ~Copyable, Sendable {
    /// Valid as long as the owner lives: only for handing to a system call.
    package let rawValue: CInt

    /// Takes over a descriptor that no other code closes.
    package init(adopting rawValue: CInt) {
        self.rawValue = rawValue
    }

    /// Gives the descriptor away to a new owner, who closes it.
    package consuming func release() -> CInt {
        let value = rawValue
        discard self
        return value
    }

    deinit {
        // Linux frees the number whatever close returns: a retry could close another descriptor.
        _ = Glibc.close(rawValue)
    }
}

/// A descriptor that can be captured by an escaping closure: it is closed when the last reference goes.
package final class SharedDescriptor: Sendable {
    package let descriptor: OwnedDescriptor

    package init(_ descriptor: consuming OwnedDescriptor) {
        self.descriptor = descriptor
    }

    /// The same open file under another number, for an owner who closes that.
    package func duplicate() throws(SystemCallError) -> CInt {
        try systemCall("fcntl F_DUPFD_CLOEXEC") { fcntl(descriptor.rawValue, F_DUPFD_CLOEXEC, 0) }
    }
}
