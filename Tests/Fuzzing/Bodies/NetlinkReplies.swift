internal import Glibc
internal import Linux

@testable internal import Netfilter

/// What the kernel sends, or a program that passes for it.
///
/// The first byte of an input says what was asked. The rest are datagrams, each behind its length in two bytes, the
/// lower first; requests are numbered from 1.
public enum NetlinkReplies {
    public static func check(_ input: [UInt8]) throws(BrokenPromise) {
        guard let question = input.first else { return }
        let rest = Array(input.dropFirst())
        switch question % 8 {
        case 0: try checkRuleset(rest)
        case 1: try checkBatch(rest)
        case 2: ask(rest) { socket in _ = try? socket.generation() }
        case 3:
            ask(rest) { socket in
                _ = try? socket.countOfFlows()
                _ = try? socket.flows { _ in true }
            }
        case 4: try checkCounters(rest)
        case 5: ask(rest) { socket in _ = try? socket.tcpSockets { _ in true } }
        case 6: ask(rest) { socket in _ = (try? socket.routingPolicy(.ip, for: [.any]))?.way(of: .any) }
        default: readMessages(rest)
        }
    }

    /// The ruleset, and all that is made of it: what else redirects, and what would be done about it.
    private static func checkRuleset(_ replies: [UInt8]) throws(BrokenPromise) {
        var ruleset: Ruleset?
        ask(replies) { socket in ruleset = try? socket.ruleset(generation: 7, for: Decisions.interest) }
        if let ruleset { try Decisions.check(ruleset) }
        ask(replies) { socket in ruleset = try? socket.changingRuleset(for: Decisions.interest) }
        if let ruleset { try Decisions.check(ruleset) }
        ask(replies) { socket in if let found = try? socket.filterTables() { Ways.follow(found.tables) } }
    }

    private static let chain = ChainName(.ip, "nat", "OUTPUT")
    private static let transaction = Transaction([
        .addTable(.ip, "nat"), .insertRule(chain, [.matchBPF(pin: Decisions.pin), .counter, .returnVerdict]),
        .deleteRule(chain, handle: 9), .deleteTable(.inet, "kmesh_bypass"),
    ])

    private static func checkBatch(_ replies: [UInt8]) throws(BrokenPromise) {
        var handles: [UInt64]?
        ask(replies) { socket in handles = try? socket.commit(transaction.prepared, generation: 7) }
        if let handles {
            try promise(handles.count == transaction.operations.count, "one answer an operation: \(handles)")
        }
    }

    private static func checkCounters(_ replies: [UInt8]) throws(BrokenPromise) {
        let rules = [3, 4].map { Ruleset.CountedRule(chain: chain, handle: $0) }
        var reread: [Ruleset.CountedRule]?
        ask(replies) { socket in reread = (try? socket.reread(rules))?.rules }
        if let reread { try promise(reread.count == rules.count, "\(reread.count) rules are read for \(rules.count)") }
    }

    /// No more and no less than these bytes, for a sanitizer to see what is read beyond them.
    private static func readMessages(_ bytes: [UInt8]) {
        unsafe bytes.withUnsafeBytes { buffer in
            var messages = unsafe NetlinkMessages(buffer)
            while let message = messages.next() {
                _ = (message.table, message.chain, message.rule, message.generation)
                var set = message.emptySet ?? FilterSet()
                _ = (message.filterRule, message.traceMessage, message.acceptsAtEnd, message.addElements(to: &set))
                _ = (message.acknowledgement, message.errorDetail, message.isLastOfDump, message.isInterruptedDump)
            }
        }
    }

    /// Has a socket at which these replies wait already, and after them nothing.
    private static func ask(_ replies: [UInt8], _ body: (inout NetlinkSocket) -> Void) {
        var numbers: [CInt] = [-1, -1]
        let kind = CInt(SOCK_SEQPACKET.rawValue) | CInt(SOCK_NONBLOCK.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        guard unsafe socketpair(AF_UNIX, kind, 0, &numbers) == 0 else { fatalError("no socketpair: \(errno)") }
        let kernel = OwnedDescriptor(adopting: numbers[1])
        var rest = replies[...]
        while rest.count > 2 {
            let length = Int(rest.removeFirst()) | Int(rest.removeFirst()) << 8
            let datagram = rest.prefix(length)
            rest = rest.dropFirst(length)
            // An empty one would be the end of the stream, which netlink does not know.
            if datagram.isEmpty { continue }
            // What there is no room for is not sent.
            _ = unsafe datagram.withUnsafeBytes { unsafe send(kernel.rawValue, $0.baseAddress, $0.count, 0) }
        }
        var socket = NetlinkSocket(adopting: OwnedDescriptor(adopting: numbers[0]))
        body(&socket)
    }
}
