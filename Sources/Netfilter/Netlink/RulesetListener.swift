internal import CLinux
package import Linux
internal import SystemPackage

/// Hears of changed rulesets in all namespaces that have a number in the calling thread's, and keeps none of them alive, as a
/// socket in each would. Needs CAP_NET_BROADCAST.
package struct RulesetListener: ~Copyable {
    private let socket: NetlinkSocket

    /// - Throws: EPERM without the capability.
    package init() throws(SystemCallError) {
        let socket = try NetlinkSocket()
        let number = socket.shared.descriptor.rawValue
        try systemCall("setsockopt NETLINK_LISTEN_ALL_NSID") { clinux_join_all_rulesets(number) }
        self.socket = socket
    }

    /// Waits for changes, until a flag is raised.
    ///
    /// - Returns: the numbers of the namespaces whose rulesets have changed; of a flood, those that the socket had room for.
    ///   nil if the flag was raised; it is lowered again.
    package borrowing func changes(orUntil flag: borrowing EventDescriptor) throws(SystemCallError) -> Set<Int32>? {
        let descriptor = socket.shared.descriptor.rawValue
        if try flag.wait(orFor: descriptor) {
            flag.clear()
            return nil
        }
        var numbers: Set<Int32> = []
        for _ in 0..<Self.maxMessages {
            var number: Int32 = 0
            do throws(SystemCallError) {
                try systemCall("recvmsg: changed rulesets") {
                    unsafe clinux_receive_namespace_number(descriptor, &number)
                }
                numbers.insert(number)
            } catch {
                if error.errno == .resourceTemporarilyUnavailable { break }
                guard error.errno == .noBufferSpace else { throw error }
            }
        }
        return numbers
    }

    /// More than a socket has room for: who changes rulesets without end does not keep the thread here.
    private static let maxMessages = 4096
}

extension NetlinkSocket {
    /// The number (nsid) of a namespace in the socket's own, which gets one if it has none, until it is gone. `ip netns list`
    /// shows it. For a socket of rtnetlink's.
    package mutating func number(of namespace: borrowing NetworkNamespace) throws(NetfilterError) -> Int32 {
        let descriptor = Self.attribute(Self.byDescriptor, UInt32(bitPattern: namespace.rawValue))
        let anyNumber = Self.attribute(Self.number, UInt32.max)
        // EEXIST: it has one, as each namespace to which a virtual cable leads.
        _ = try acknowledged([()], largest: Self.largestRequest, for: "numbering a namespace") {
            _, requests, sequence in
            requests.append(
                Self.newNumber, flags: .acknowledge, sequence: sequence,
                payload: Self.unspecifiedFamily + anyNumber + descriptor)
        }
        let sequence = takeSequence()
        var request = MessageBuffer(messages: 1, largest: Self.largestRequest)
        request.append(Self.getNumber, sequence: sequence, payload: Self.unspecifiedFamily + descriptor)
        let operation: StaticString = "reading a namespace's number"
        var number: Int32 = -1
        try exchange(request, for: operation) { (message) throws(NetfilterError) -> Progress in
            guard message.sequence == sequence else { return .more }
            try message.check(operation)
            for attribute in message.attributes(after: Self.unspecifiedFamily.count)
            where attribute.type == CInt(Self.number) {
                number = attribute.hostUInt32.map(Int32.init(bitPattern:)) ?? -1
            }
            return .done
        }
        // It has gone again, or there was no memory to number it.
        guard number >= 0 else { throw .systemCall(SystemCallError("\(operation)", .noSuchFileOrDirectory)) }
        return number
    }

    /// `struct rtgenmsg`, padded.
    private static let unspecifiedFamily: [UInt8] = [0, 0, 0, 0]
    /// RTM_NEWNSID and RTM_GETNSID of linux/rtnetlink.h.
    private static let newNumber: UInt16 = 88
    private static let getNumber: UInt16 = 90
    /// NETNSA_NSID and NETNSA_FD of linux/net_namespace.h.
    private static let number: UInt16 = 1
    private static let byDescriptor: UInt16 = 3
    private static let largestRequest = 128

    /// A netlink attribute of 4 bytes: the length of all of it, its type, and the number.
    static func attribute(_ type: UInt16, _ value: UInt32) -> [UInt8] {
        unsafe withUnsafeBytes(of: (UInt16(8), type, value)) { unsafe Array($0) }
    }
}
