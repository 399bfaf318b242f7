import Glibc
import Linux
import SystemPackage
import Testing

@testable import Netfilter

/// What is made of the kernel's answers about routing, with another socket for the kernel.
@Suite struct RoutingPolicyReaderTests {
    private static func number(_ type: UInt16, _ number: UInt32) -> [UInt8] {
        Reply.attribute(type, Reply.little(number))
    }

    /// `fwmark 1 lookup 100`.
    private static func rule(_ sequence: UInt32, flags: UInt16 = 2) -> [UInt8] {
        let header: [UInt8] = [2, 0, 0, 0, 100, 0, 0, 1, 0, 0, 0, 0]
        return ScriptedKernel.message(
            32, sequence, header + number(10, 1) + number(16, .max) + number(15, 100), flags: flags)
    }

    private static func route(_ sequence: UInt32, type: UInt8, prefix: UInt8) -> [UInt8] {
        ScriptedKernel.message(24, sequence, [2, prefix, 0, 0, 100, 0, 0, type, 0, 0, 0, 0])
    }

    private static func policy(_ answers: [UInt8]...) throws(NetfilterError) -> RoutingPolicy {
        var kernel = ScriptedKernel(answers)
        return try kernel.socket.routingPolicy(.ip, for: [PossibleMarks(1)])
    }

    @Test("Of a table's routes those count that lead to lo and take packets")
    func routes() throws {
        let policy = try Self.policy(
            Self.rule(1) + ScriptedKernel.done(1),
            Self.route(2, type: 1, prefix: 8) + Self.route(2, type: 7, prefix: 32) + ScriptedKernel.done(2),
            Self.route(3, type: 2, prefix: 0) + ScriptedKernel.done(3))
        #expect(policy.rules.count == 1 && policy.loopbackPrefixes == [100: 8])
        #expect(policy.way(of: PossibleMarks(1)) == .loopback)
        let none = try Self.policy(
            Self.rule(1) + ScriptedKernel.done(1), Self.route(2, type: 7, prefix: 0) + ScriptedKernel.done(2),
            ScriptedKernel.done(3))
        #expect(none.loopbackPrefixes == [:])
    }

    @Test("A table that is not there has no routes, and any other error is one")
    func errors() throws {
        let rules = Self.rule(1) + ScriptedKernel.done(1)
        #expect(
            try Self.policy(rules, ScriptedKernel.refusal(2, ENOENT), ScriptedKernel.done(3, ENOENT)).loopbackPrefixes
                == [:])
        for (answer, error) in [
            (ScriptedKernel.refusal(2, EINVAL), Errno.invalidArgument),
            (ScriptedKernel.done(2, ENOBUFS), .noBufferSpace),
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
        let interrupted = ScriptedKernel.interrupted
        let policy = try Self.policy(
            Self.rule(1) + Self.rule(1, flags: interrupted) + ScriptedKernel.done(1, flags: interrupted),
            Self.rule(2) + ScriptedKernel.done(2),
            ScriptedKernel.done(3), ScriptedKernel.done(4))
        #expect(policy.rules.count == 1)
        #expect(
            throws: NetfilterError.systemCall(
                .init("reading routing rules, which change meanwhile", .resourceTemporarilyUnavailable))
        ) {
            try Self.policy(
                ScriptedKernel.done(1, flags: interrupted), ScriptedKernel.done(2, flags: interrupted),
                ScriptedKernel.done(3, flags: interrupted),
                ScriptedKernel.done(4, flags: interrupted))
        }
    }

    @Test("More rules than are kept are not taken for all")
    func tooMany() {
        let rule = ScriptedKernel.message(32, 1, [2, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0])
        let many = Array(repeating: rule, count: 1024).flatMap(\.self)
        #expect(throws: Never.self) { try Self.policy(many, many, many, many, ScriptedKernel.done(1)) }
        #expect(throws: NetfilterError.self) { try Self.policy(many, many, many, many, rule, ScriptedKernel.done(1)) }
    }
}
