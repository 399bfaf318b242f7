import Glibc
import Linux
import SystemPackage
import Testing

@testable import Netfilter

/// Dumps that the kernel breaks off, or that are not of one moment: no reader takes a part for all there is.
@Suite struct DumpTests {
    /// What is read, and the kernel's answers: of each exchange the objects, without the end of the dump. The last is the one
    /// that goes wrong.
    enum Reader: CaseIterable {
        case tables, chains, rules, setElements, changingTables, flows, sockets, listener, listeners, routingRules,
            routes

        var answers: [[UInt8]] {
            switch self {
            case .tables, .changingTables: [Self.generation(1), Self.table(2)]
            case .chains: [Self.generation(1), Self.table(2) + ScriptedKernel.done(2), Self.chain(3)]
            case .rules:
                [
                    Self.generation(1), Self.table(2) + ScriptedKernel.done(2), Self.chain(3) + ScriptedKernel.done(3),
                    Self.rule(4),
                ]
            case .setElements:
                [
                    Self.generation(1), Self.table(2) + ScriptedKernel.done(2), Self.chain(3) + ScriptedKernel.done(3),
                    Self.rule(4) + ScriptedKernel.done(4), Self.set(5), Self.object(MessageType.getElements, 6),
                ]
            case .flows, .sockets, .listener, .listeners: [ScriptedKernel.message(20, 1, [2, 10, 0, 0])]
            case .routingRules: [Self.routingRule(1)]
            case .routes:
                [Self.routingRule(1) + ScriptedKernel.done(1), ScriptedKernel.message(24, 2, Self.routeHeader)]
            }
        }

        /// The sequence number of the last request.
        var sequence: UInt32 { UInt32(answers.count) }

        private static let routeHeader: [UInt8] = [2, 8, 0, 0, 100, 0, 0, 1, 0, 0, 0, 0]

        private static func object(_ type: UInt16, _ sequence: UInt32, _ attributes: [UInt8]...) -> [UInt8] {
            ScriptedKernel.message(type, sequence, [2, 0, 0, 0] + attributes.flatMap(\.self))
        }

        private static func generation(_ sequence: UInt32) -> [UInt8] {
            object(MessageType.newGeneration, sequence, Reply.number(1, 7))
        }

        private static func table(_ sequence: UInt32) -> [UInt8] {
            object(MessageType.newTable, sequence, Reply.text(1, "nat"), Reply.number(3, 1))
        }

        /// A nat chain at OUTPUT.
        private static func chain(_ sequence: UInt32) -> [UInt8] {
            object(
                MessageType.newChain, sequence, Reply.text(1, "nat"), Reply.text(3, "OUTPUT"),
                Reply.nested(4, Reply.number(1, 3), Reply.number(2, 0)), Reply.number(6, 1), Reply.text(7, "nat"))
        }

        /// `ip daddr @SET`.
        private static func rule(_ sequence: UInt32) -> [UInt8] {
            let payload = Reply.expression(
                "payload", Reply.number(1, 1), Reply.number(2, 1), Reply.number(3, 16), Reply.number(4, 4))
            let lookup = Reply.expression("lookup", Reply.text(1, "SET"), Reply.number(2, 1))
            return object(
                MessageType.newRule, sequence, Reply.text(1, "nat"), Reply.text(2, "OUTPUT"), Reply.number64(3, 7),
                Reply.nested(4, payload, lookup))
        }

        private static func set(_ sequence: UInt32) -> [UInt8] {
            object(
                MessageType.newSet, sequence, Reply.text(1, "nat"), Reply.text(2, "SET"), Reply.number(3, 0),
                Reply.number(4, 7), Reply.number(5, 4))
        }

        private static func routingRule(_ sequence: UInt32) -> [UInt8] {
            let header: [UInt8] = [2, 0, 0, 0, 100, 0, 0, 1, 0, 0, 0, 0]
            return ScriptedKernel.message(32, sequence, header + Reply.attribute(15, Reply.little(UInt32(100))))
        }

        /// - Returns: whether the reader says that it has read everything.
        func read(_ socket: inout NetlinkSocket) throws(NetfilterError) -> Bool {
            switch self {
            case .tables, .chains, .rules, .setElements: _ = try socket.filterTables()
            case .changingTables:
                let interest = Ruleset.Interest(
                    pin: "/sys/fs/bpf/bypass", table: (.inet, "kmesh_bypass"), chains: [])
                _ = try socket.changingRuleset(for: interest)
            case .flows: return try socket.flows { _ in true }.isComplete
            case .sockets: return try socket.tcpSockets { _ in true }.isComplete
            case .listener: _ = try socket.hasListener(on: 15008)
            case .listeners: _ = try socket.listeners(at: .init(address: nil, port: 80), Packet.tcp)
            case .routingRules, .routes: _ = try socket.routingPolicy(.ip, for: [PossibleMarks(1)])
            }
            return true
        }

        /// Whether it reads what may change meanwhile, and says so in another way.
        var acceptsChanges: Bool { self == .changingTables }
    }

    @Test("A dump that ends with an error is an error", arguments: Reader.allCases)
    func brokenOff(_ reader: Reader) {
        let end = ScriptedKernel.done(reader.sequence, ENOBUFS)
        var kernel = ScriptedKernel(reader.answers.dropLast() + [(reader.answers.last ?? []) + end])
        do throws(NetfilterError) {
            _ = try reader.read(&kernel.socket)
            Issue.record("it was taken for all there is")
        } catch {
            guard case .systemCall(let cause) = error else {
                Issue.record("\(error)")
                return
            }
            #expect(cause.errno == .noBufferSpace)
        }
    }

    @Test("What changes while it is dumped is not taken for all there is", arguments: Reader.allCases)
    func interrupted(_ reader: Reader) {
        if reader.acceptsChanges { return }
        let end = ScriptedKernel.done(reader.sequence, flags: ScriptedKernel.interrupted)
        var kernel = ScriptedKernel(reader.answers.dropLast() + [(reader.answers.last ?? []) + end])
        let isComplete = try? reader.read(&kernel.socket)
        #expect(isComplete != true)
    }

    @Test("A set that goes while it is read makes another ruleset")
    func goneSet() {
        let reader = Reader.setElements
        var kernel = ScriptedKernel(reader.answers.dropLast() + [ScriptedKernel.done(reader.sequence, ENOENT)])
        #expect(throws: NetfilterError.rulesetChanged) { _ = try reader.read(&kernel.socket) }
    }

    @Test("Routing rules of which the kernel says that there are none are not known")
    func noRoutingRules() {
        var kernel = ScriptedKernel([ScriptedKernel.done(1, ENOENT)])
        #expect(throws: NetfilterError.self) { _ = try kernel.socket.routingPolicy(.ip, for: [PossibleMarks(1)]) }
    }
}
