import Glibc
import Linux
import SystemPackage
import Testing

@testable import Netfilter

/// What is read from the socket, with another socket for the kernel.
@Suite struct ReceiveTests {
    @Test("Without an answer, no thread waits for one", .timeLimit(.minutes(1)))
    func noAnswer() {
        var kernel = ScriptedKernel()
        #expect(
            throws: NetfilterError.systemCall(
                .init("recvmmsg: reading the ruleset's generation", .resourceTemporarilyUnavailable))
        ) {
            _ = try kernel.socket.generation()
        }
    }

    @Test("More answers than a receive takes are taken by the next one")
    func manyAnswers() throws {
        var kernel = ScriptedKernel()
        for _ in 0..<30 { kernel.send(Reply.ourRule) }
        kernel.send(ScriptedKernel.done(1))
        var count = 0
        try kernel.socket.dump(MessageType.getRule, "reading rules") { count += $0.rule == nil ? 0 : 1 }
        #expect(count == 30)
    }

    @Test("Answers without an end are read until the time is over, and then that is the error")
    func noEnd() throws {
        var kernel = ScriptedKernel()
        for _ in 0..<30 { kernel.send(Reply.ourRule) }
        kernel.socket.deadline = .now
        var count = 0
        #expect(throws: NetfilterError.systemCall(.init("reading rules", .timedOut))) {
            try kernel.socket.dump(MessageType.getRule, "reading rules") { _ in count += 1 }
        }
        #expect(count == 9)
        // What is left of them is not taken for the answer to the next request.
        #expect(throws: NetfilterError.self) { _ = try kernel.socket.generation() }
    }

    @Test("A batch that the kernel took long to execute is executed")
    func lateBatch() throws {
        var kernel = ScriptedKernel()
        // More than one receive takes, and then the acknowledgement (NLMSG_ERROR with 0).
        for _ in 0..<12 { kernel.send(Reply.ourRule) }
        let rest = [UInt8](repeating: 0, count: 24)
        kernel.send(Reply.little(UInt32(36)) + [2, 0, 0, 0] + Reply.little(UInt32(2)) + rest)
        kernel.socket.deadline = .now
        let transaction = Transaction([.addTable(.ip, "nat")])
        #expect(try kernel.socket.commit(transaction.prepared, generation: nil) == [0])
    }

    @Test("What another process sends is not an answer")
    func foreignSender() throws {
        let userSockets: CInt = 2  // NETLINK_USERSOCK
        let daemon = OwnedDescriptor(adopting: socket(AF_NETLINK, CInt(SOCK_RAW.rawValue), userSockets))
        let other = OwnedDescriptor(adopting: socket(AF_NETLINK, CInt(SOCK_RAW.rawValue), userSockets))
        // struct sockaddr_nl: family, port, groups.
        var address: [UInt32] = [UInt32(AF_NETLINK), 0, 0]
        let bytes = Reply.message(3)  // NLMSG_DONE
        var length = socklen_t(address.count * MemoryLayout<UInt32>.size)
        let sent = unsafe address.withUnsafeMutableBytes {
            let address = unsafe $0.baseAddress?.assumingMemoryBound(to: sockaddr.self)
            _ = unsafe (
                bind(daemon.rawValue, address, length), getsockname(daemon.rawValue, address.unsafelyUnwrapped, &length)
            )
            return unsafe sendto(other.rawValue, bytes, bytes.count, 0, address, length)
        }
        #expect(sent == bytes.count)
        let buffer = ReceiveBuffer()
        let progress = try buffer.receive(from: daemon, for: "test") { _ in .done }
        #expect(progress == .more)
    }

    @Test("Counters are put into the rules that they are of, in whatever order the answers come")
    func counters() throws {
        func answer(_ sequence: UInt32, _ packets: UInt64) -> [UInt8] {
            let rule = Reply.rule("c", Reply.expression("counter", Reply.number64(1, 0), Reply.number64(2, packets)))
            return rule[..<8] + Reply.little(sequence) + rule[12...]
        }
        var kernel = ScriptedKernel()
        kernel.send(Reply.message(MessageType.newGeneration, Reply.number(1, 7)) + answer(3, 22) + answer(9, 99))
        kernel.send(answer(2, 11))
        let rules = [3, 4].map { Ruleset.CountedRule(chain: ChainName(.ip, "nat", "c"), handle: $0) }
        let reread = try kernel.socket.reread(rules)
        #expect(reread.generation == 7)
        #expect(reread.rules?.map(\.packets) == [11, 22] && reread.rules?.map(\.handle) == [3, 4])
    }

    @Test("As many sockets as there are have a buffer of their own, again and again")
    func buffers() throws {
        for _ in 0..<3 {
            var all: [UInt32] = []
            try read(20, into: &all)
            #expect(all == (1...20).reversed())
        }
    }

    /// Reads a generation by each of `count` sockets that are open at once.
    private func read(_ count: UInt32, into all: inout [UInt32]) throws {
        if count == 0 { return }
        var kernel = ScriptedKernel()
        kernel.send(Reply.message(MessageType.newGeneration, Reply.number(1, count)))
        try all.append(kernel.socket.generation())
        try read(count - 1, into: &all)
        kernel.send(Reply.message(MessageType.newGeneration, Reply.number(1, 7)))
        #expect(throws: NetfilterError.self) { _ = try kernel.socket.generation() }
    }
}
