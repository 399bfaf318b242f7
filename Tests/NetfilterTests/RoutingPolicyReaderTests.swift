import Glibc
import Linux
import SystemPackage
import Testing

@testable import Netfilter

/// What is made of the kernel's answers about routing, with another socket for the kernel.
@Suite struct RoutingPolicyReaderTests {
    private static func message(
        _ type: UInt16, _ sequence: UInt32, _ payload: [UInt8], flags: UInt16 = 2
    ) -> [UInt8] {
        Reply.little(UInt32(payload.count + 16)) + Reply.little(type) + Reply.little(flags) + Reply.little(sequence)
            + Reply.little(UInt32(0)) + payload
    }

    private static func number(_ type: UInt16, _ number: UInt32) -> [UInt8] {
        Reply.attribute(type, Reply.little(number))
    }

    /// `fwmark 1 lookup 100`.
    private static func rule(_ sequence: UInt32, flags: UInt16 = 2) -> [UInt8] {
        let header: [UInt8] = [2, 0, 0, 0, 100, 0, 0, 1, 0, 0, 0, 0]
        return message(32, sequence, header + number(10, 1) + number(16, .max) + number(15, 100), flags: flags)
    }

    private static func route(_ sequence: UInt32, type: UInt8, prefix: UInt8) -> [UInt8] {
        message(24, sequence, [2, prefix, 0, 0, 100, 0, 0, type, 0, 0, 0, 0])
    }

    /// NLMSG_DONE, with 0 or an error.
    private static func done(_ sequence: UInt32, _ error: Int32 = 0, flags: UInt16 = 2) -> [UInt8] {
        message(3, sequence, Reply.little(-error), flags: flags)
    }

    /// NLMSG_ERROR.
    private static func refusal(_ sequence: UInt32, _ error: Int32) -> [UInt8] {
        message(2, sequence, Reply.little(-error) + [UInt8](repeating: 0, count: 16))
    }

    /// Each answer is received alone: a receive takes eight datagrams, and those behind the end of a dump are not for the next.
    private static func policy(_ answers: [UInt8]...) throws(NetfilterError) -> RoutingPolicy {
        var numbers: [CInt] = [-1, -1]
        unsafe socketpair(AF_UNIX, CInt(SOCK_SEQPACKET.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0, &numbers)
        let kernel = OwnedDescriptor(adopting: numbers[1])
        var socket = NetlinkSocket(adopting: OwnedDescriptor(adopting: numbers[0]))
        let filling = Array(repeating: Self.message(1, 0, []), count: 7)
        for answer in answers {
            for datagram in [answer] + filling { _ = unsafe send(kernel.rawValue, datagram, datagram.count, 0) }
        }
        return try socket.routingPolicy(.ip, for: [PossibleMarks(1)])
    }

    @Test("Of a table's routes those count that lead to lo and take packets")
    func routes() throws {
        let policy = try Self.policy(
            Self.rule(1) + Self.done(1),
            Self.route(2, type: 1, prefix: 8) + Self.route(2, type: 7, prefix: 32) + Self.done(2),
            Self.route(3, type: 2, prefix: 0) + Self.done(3))
        #expect(policy.rules.count == 1 && policy.loopbackPrefixes == [100: 8])
        #expect(policy.way(of: PossibleMarks(1)) == .loopback)
        let none = try Self.policy(
            Self.rule(1) + Self.done(1), Self.route(2, type: 7, prefix: 0) + Self.done(2), Self.done(3))
        #expect(none.loopbackPrefixes == [:])
    }

    @Test("A table that is not there has no routes, and any other error is one")
    func errors() throws {
        let rules = Self.rule(1) + Self.done(1)
        #expect(try Self.policy(rules, Self.refusal(2, ENOENT), Self.done(3, ENOENT)).loopbackPrefixes == [:])
        for (answer, error) in [
            (Self.refusal(2, EINVAL), Errno.invalidArgument), (Self.done(2, ENOBUFS), .noBufferSpace),
        ] {
            #expect(throws: NetfilterError.systemCall(.init("reading routes", error))) {
                try Self.policy(rules, answer)
            }
        }
        #expect(throws: NetfilterError.self) { try Self.policy(rules) }
        #expect(throws: NetfilterError.self) { try Self.policy(Self.rule(1).dropLast(4) + []) }
    }

    @Test("What changes while it is read is read again, four times")
    func interrupted() throws {
        let interrupted: UInt16 = 2 | 16  // NLM_F_DUMP_INTR
        let policy = try Self.policy(
            Self.rule(1) + Self.rule(1, flags: interrupted) + Self.done(1, flags: interrupted),
            Self.rule(2) + Self.done(2),
            Self.done(3), Self.done(4))
        #expect(policy.rules.count == 1)
        #expect(
            throws: NetfilterError.systemCall(
                .init("reading routing rules, which change meanwhile", .resourceTemporarilyUnavailable))
        ) {
            try Self.policy(
                Self.done(1, flags: interrupted), Self.done(2, flags: interrupted), Self.done(3, flags: interrupted),
                Self.done(4, flags: interrupted))
        }
    }

    @Test("More rules than are kept are not taken for all")
    func tooMany() {
        let rule = Self.message(32, 1, [2, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0])
        let many = Array(repeating: rule, count: 1024).flatMap(\.self)
        #expect(throws: Never.self) { try Self.policy(many, many, many, many, Self.done(1)) }
        #expect(throws: NetfilterError.self) { try Self.policy(many, many, many, many, rule, Self.done(1)) }
    }
}
