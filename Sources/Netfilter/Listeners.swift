internal import CLibmnl
internal import Glibc

extension NetlinkSocket {
    /// Whether a TCP socket of the namespace listens on a port. For a socket of sock_diag's.
    ///
    /// The kernel looks through listeners alone, and sends those of this port: 15 microseconds for each family.
    package mutating func hasListener(on port: UInt16) throws(NetfilterError) -> Bool {
        let operation: StaticString = "reading listeners"
        for family in [AF_INET, AF_INET6] {
            let sequence = takeSequence()
            var request = MessageBuffer(messages: 1)
            request.append(
                Self.byFamily, flags: .dump, sequence: sequence, payload: Self.listeners(UInt8(family), port))
            var isFound = false
            try exchange(request, for: operation) { (message) throws(NetfilterError) -> Progress in
                guard message.sequence == sequence else { return .more }
                if message.isLastOfDump { return .done }
                try message.check(operation)
                isFound = true
                return .more
            }
            if isFound { return true }
        }
        return false
    }

    /// SOCK_DIAG_BY_FAMILY of linux/sock_diag.h.
    private static let byFamily: UInt16 = 20

    /// `struct inet_diag_req_v2` of linux/inet_diag.h: family, protocol, no extensions, TCP_LISTEN as a mask of states, then
    /// the socket's own port and 46 bytes that select nothing.
    private static func listeners(_ family: UInt8, _ port: UInt16) -> [UInt8] {
        [family, UInt8(IPPROTO_TCP), 0, 0] + RuleExpression.hostOrder(1 << 10)
            + [UInt8(port >> 8), UInt8(truncatingIfNeeded: port)] + Array(repeating: 0, count: 46)
    }
}
