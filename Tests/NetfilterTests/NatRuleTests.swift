import Linux
import Testing

@testable import Netfilter

/// What is read of a rule of nat, in iptables-nft's and nft's expressions.
@Suite struct NatRuleTests {
    private static func load(_ name: String, _ fields: (UInt16, UInt32)...) -> [UInt8] {
        Reply.expression(name, fields.flatMap { Reply.number($0.0, $0.1) })
    }

    /// A comparison of register 1 with these bytes.
    private static func compare(_ operation: UInt32, _ value: [UInt8]) -> [UInt8] {
        Reply.expression(
            "cmp", Reply.number(1, 1), Reply.number(2, operation), Reply.nested(3, Reply.attribute(1, value)))
    }

    private static let transport = load("meta", (1, 1), (2, 16))
    private static let port = load("payload", (1, 1), (2, 2), (3, 2), (4, 2))

    private static func network(_ length: UInt32) -> [UInt8] { load("payload", (1, 1), (2, 1), (3, 16), (4, length)) }

    private static func read(_ expressions: [UInt8]...) throws -> NatRule {
        let rules = Reply.read(Reply.rule("OUTPUT", expressions.flatMap(\.self))) { message -> NatRule? in
            for attribute in message.attributes where attribute.type == 4 { return NatRule(attribute.nested, of: .ip) }
            return nil
        }
        return try #require(rules.first)
    }

    @Test func aRedirectOfAPort() throws {
        let rule = try Self.read(
            Self.transport, Self.compare(0, [17]), Self.port, Self.compare(0, [0, 53]), Reply.expression("redir", []))
        #expect(rule.transport == 17 && rule.ports == 53...53 && rule.target == NatRule.Target())
    }

    @Test func otherPortsMayBeAny() throws {
        let rule = try Self.read(Self.port, Self.compare(1, [0, 53]), Reply.expression("redir", []))
        #expect(rule.ports == nil)
    }

    @Test func anAddressAndANetwork() throws {
        let host = try Self.read(Self.network(4), Self.compare(0, [127, 0, 0, 11]), Reply.verdict(-5))
        #expect(host.destination == IPAddress("127.0.0.11"))
        let net = try Self.read(Self.network(1), Self.compare(0, [10]), Reply.verdict(-5))
        #expect(net.destination == nil)
        #expect(net.network == NatRule.Network(value: [10, 0, 0, 0], mask: [255, 0, 0, 0]))
    }
}
