import Glibc
import Linux

@testable import Netfilter

/// A socket on which another one plays the kernel, with answers that were written before the questions.
struct ScriptedKernel: ~Copyable {
    private let kernel: OwnedDescriptor
    var socket: NetlinkSocket

    init() {
        var numbers: [CInt] = [-1, -1]
        unsafe socketpair(AF_UNIX, CInt(SOCK_SEQPACKET.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0, &numbers)
        kernel = OwnedDescriptor(adopting: numbers[1])
        socket = NetlinkSocket(adopting: OwnedDescriptor(adopting: numbers[0]))
    }

    /// Each answer is received alone: a receive takes as many datagrams as it has slots, and those behind the end of a dump
    /// are not for the next.
    init(_ answers: [[UInt8]]) {
        self.init()
        let filling = Array(repeating: Self.message(1, 0, []), count: ReceiveBuffer.slots - 1)
        for answer in answers {
            for datagram in [answer] + filling { send(datagram) }
        }
    }

    func send(_ datagram: [UInt8]) {
        _ = unsafe Glibc.send(kernel.rawValue, datagram, datagram.count, 0)
    }

    static func message(_ type: UInt16, _ sequence: UInt32, _ payload: [UInt8], flags: UInt16 = 2) -> [UInt8] {
        Reply.little(UInt32(payload.count + 16)) + Reply.little(type) + Reply.little(flags) + Reply.little(sequence)
            + Reply.little(UInt32(0)) + payload
    }

    /// NLMSG_DONE, with 0 or an error.
    static func done(_ sequence: UInt32, _ error: Int32 = 0, flags: UInt16 = 2) -> [UInt8] {
        message(3, sequence, Reply.little(-error), flags: flags)
    }

    /// NLMSG_ERROR.
    static func refusal(_ sequence: UInt32, _ error: Int32) -> [UInt8] {
        message(2, sequence, Reply.little(-error) + [UInt8](repeating: 0, count: 16))
    }

    /// NLM_F_MULTI and NLM_F_DUMP_INTR.
    static let interrupted: UInt16 = 2 | 16
}
