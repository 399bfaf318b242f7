internal import CLinux
internal import Glibc
package import Linux
package import SystemPackage

/// A netlink socket for nfnetlink, sock_diag or rtnetlink. It belongs to the network namespace in which it was opened and keeps that
/// alive: let go of it soon, where closing may wait (after a rule was deleted closing can cost an RCU grace period).
package struct NetlinkSocket: ~Copyable {
    /// Shared with the thread that closes it later: the last reference closes it.
    package let shared: SharedDescriptor
    private var sequence: UInt32 = 0
    private let buffer = ReceiveBuffer()
    /// An exchange has failed before its last message: what is left of it comes first. While a dump is not read to its end,
    /// the kernel refuses the next one with EBUSY.
    private var isUnfinished = false
    private var hasFailed = false
    /// Exchanges fail after this: the owner of the namespace controls how much the kernel sends.
    package var deadline = Instant.now + timeLimit

    /// For one operation with all its attempts, such as an observation.
    package static let timeLimit = Interval.seconds(5)

    /// What answers on a socket.
    package enum Subsystem: Sendable {
        /// nf_tables and conntrack.
        case netfilter
        /// The namespace's sockets.
        case socketDiagnostics
        /// Routing rules and routes, and the numbers of other namespaces.
        case routing
    }

    /// Opens a socket in the calling thread's network namespace.
    package init(for subsystem: Subsystem = .netfilter) throws(SystemCallError) {
        let number: CInt
        switch subsystem {
        case .netfilter:
            number = try systemCall("socket NETLINK_NETFILTER") { clinux_netlink_socket(CLINUX_NETLINK_NETFILTER) }
        case .socketDiagnostics:
            number = try systemCall("socket NETLINK_SOCK_DIAG") { clinux_netlink_socket(CLINUX_NETLINK_SOCK_DIAG) }
        case .routing:
            number = try systemCall("socket NETLINK_ROUTE") { clinux_netlink_socket(CLINUX_NETLINK_ROUTE) }
        }
        let descriptor = OwnedDescriptor(adopting: number)
        if subsystem == .routing {
            try systemCall("setsockopt NETLINK_GET_STRICT_CHK") { clinux_check_dumps(number) }
        }
        self.init(adopting: descriptor)
    }

    /// A socket between two sessions: it has no room for what it receives.
    package struct Idle: Sendable {
        fileprivate let shared: SharedDescriptor
        fileprivate let sequence: UInt32
    }

    /// For the next session; nil once an exchange has failed: answers may be left on it, or a table that goes with it.
    package var idle: Idle? { isUnfinished || hasFailed ? nil : Idle(shared: shared, sequence: sequence) }

    /// Goes on with a socket that no other code uses.
    package init(_ idle: Idle) {
        shared = idle.shared
        sequence = idle.sequence
    }

    /// For tests, in which another socket plays the kernel.
    init(adopting descriptor: consuming OwnedDescriptor) {
        shared = SharedDescriptor(descriptor)
    }

    /// A number that no other namespace has had since boot; nil before Linux 5.14.
    package var namespaceCookie: UInt64? {
        var cookie: UInt64 = 0
        return unsafe clinux_netns_cookie(shared.descriptor.rawValue, &cookie) == 0 ? cookie : nil
    }

    /// Reserves sequence numbers for `count` messages and returns the first.
    mutating func takeSequence(_ count: Int = 1) -> UInt32 {
        let first = sequence &+ 1
        sequence &+= UInt32(count)
        return first
    }

    enum Progress {
        case more, done
    }

    /// Sends messages and hands each answer to `body`, until `body` says that it has had the last one.
    ///
    /// - Parameter isLimited: whether it ends at the deadline. A batch does not: the kernel has executed it when its answers
    ///   come, which are no more than its messages.
    mutating func exchange(
        _ messages: borrowing MessageBuffer, for operation: StaticString, isLimited: Bool = true,
        _ body: (NetlinkMessage) throws(NetfilterError) -> Progress
    ) throws(NetfilterError) {
        if isUnfinished {
            hasFailed = true
            try skipRest(operation)
        }
        isUnfinished = true
        try send(messages, for: operation)
        while try buffer.receive(from: shared.descriptor, for: operation, body) == .more {
            if isLimited { try checkTime(operation) }
        }
        isUnfinished = false
    }

    /// Hands each message to `body` that the kernel has sent unasked.
    mutating func receiveAll(
        _ operation: StaticString, _ body: (NetlinkMessage) -> Void
    ) throws(NetfilterError) {
        do throws(NetfilterError) {
            while true {
                _ = try buffer.receive(from: shared.descriptor, for: operation) { message in
                    body(message)
                    return .more
                }
                try checkTime(operation)
            }
        } catch {
            // There is nothing more.
            if case .systemCall(let error) = error, error.errno == .resourceTemporarilyUnavailable { return }
            throw error
        }
    }

    private func skipRest(_ operation: StaticString) throws(NetfilterError) {
        do throws(NetfilterError) {
            while true {
                try buffer.take(from: shared.descriptor, for: operation)
                try checkTime(operation)
            }
        } catch {
            // There is nothing more.
            if case .systemCall(let error) = error, error.errno == .resourceTemporarilyUnavailable { return }
            throw error
        }
    }

    private func checkTime(_ operation: StaticString) throws(NetfilterError) {
        if Instant.now >= deadline { throw .systemCall(SystemCallError("\(operation)", .timedOut)) }
    }

    private func send(_ messages: borrowing MessageBuffer, for operation: StaticString) throws(NetfilterError) {
        let number = shared.descriptor.rawValue
        let start = unsafe messages.start
        let count = messages.count
        do {
            try systemCall("send: \(operation)") { unsafe Glibc.send(number, start, count, 0) }
        } catch {
            throw .systemCall(error)
        }
    }
}

/// An error in the exchange with netfilter.
package enum NetfilterError: Error, Hashable, Sendable {
    /// The kernel refused one message of a batch, so all of it. `detail` is the kernel's own word, where it has one.
    case refused(Transaction.Operation, Errno, detail: String?)
    /// The ruleset is not the one that was read: read again and plan again.
    case rulesetChanged
    case systemCall(SystemCallError)
}
