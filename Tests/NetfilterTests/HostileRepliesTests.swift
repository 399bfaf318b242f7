import Testing

@testable import Netfilter

/// Whatever comes from a socket: nothing may be read beyond it, nothing may trap, nothing may take for ever.
@Suite struct HostileRepliesTests {
    private static let samples: [(String, [UInt8])] = [
        ("a rule of ours", Reply.ourRule),
        ("a jump", Reply.rule("OUTPUT", Reply.verdict(-3, "ISTIO_OUTPUT"))),
        ("a redirect", Reply.rule("OUTPUT", Reply.expression("target", Reply.text(1, "REDIRECT")))),
        (
            "a chain",
            Reply.message(
                MessageType.newChain, Reply.text(1, "nat"), Reply.text(3, "OUTPUT"),
                Reply.nested(4, Reply.number(1, 3), Reply.number(2, 0)), Reply.text(7, "nat"))
        ),
        ("a table", Reply.message(MessageType.newTable, Reply.text(1, "nat"), Reply.number(3, 4))),
    ]

    /// Reads everything that can be read; a copy of just these bytes, so that a sanitizer sees what is beyond.
    @discardableResult
    private func readAll(_ bytes: [UInt8]) -> Int {
        Reply.read(bytes) { message -> Int? in
            _ = (message.table, message.chain, message.acknowledgement, message.errorDetail, message.family)
            return message.rule?.expressions.count ?? 0
        }.count
    }

    @Test("A message that is cut off anywhere is not there", arguments: samples)
    func truncated(_ name: String, _ bytes: [UInt8]) {
        for length in 0..<bytes.count { #expect(readAll(Array(bytes.prefix(length))) == 0) }
        #expect(readAll(bytes) == 1)
    }

    @Test("A message that is cut off and says so is read as far as it goes", arguments: samples)
    func shortened(_ name: String, _ bytes: [UInt8]) {
        for length in 16..<bytes.count {
            let cut = Reply.little(UInt32(length)) + bytes[4..<length]
            #expect(readAll(cut) == 1)
        }
    }

    @Test("Any byte may be any other", arguments: samples)
    func changed(_ name: String, _ bytes: [UInt8]) {
        for index in bytes.indices {
            for value: UInt8 in [0, 1, 3, 4, 5, 0x7f, 0x80, 0xff] {
                var copy = bytes
                copy[index] = value
                #expect(readAll(copy) <= bytes.count / 16)
            }
        }
    }

    @Test("Two lengths that lie together do no more harm than one", arguments: samples)
    func changedInPairs(_ name: String, _ bytes: [UInt8]) {
        let places = Array(stride(from: 16, to: min(bytes.count, 128), by: 4))
        for first in places {
            for second in places {
                var copy = bytes
                (copy[first], copy[first + 1]) = (0xff, 0xff)
                (copy[second], copy[second + 1]) = (4, 0)
                readAll(copy)
            }
        }
    }

    @Test("Attributes in attributes, as deep as a message can hold, do not exhaust the stack")
    func deep() {
        var bytes: [UInt8] = []
        while bytes.count < 60_000 { bytes = Reply.nested(1, bytes) }
        #expect(Reply.read(Reply.rule("c", bytes), \.rule).map(\.expressions) == [[.other]])
    }

    @Test("A rule of as many expressions as fit is read to its end")
    func many() {
        let returns = Array(repeating: Reply.verdict(-5), count: 1000).flatMap(\.self)
        #expect(Reply.read(Reply.rule("c", returns), \.rule).first?.expressions.count == 1000)
    }

    @Test("The least number that there is has no opposite, and is not an error number")
    func leastNumber() {
        let bytes =
            Reply.little(UInt32(36)) + [2, 0, 0, 0] + Reply.little(UInt64(1)) + [0, 0, 0, 0x80]
            + Array(repeating: 0, count: 16)
        #expect(Reply.read(bytes, \.acknowledgement) == [.min])
    }

    @Test("An attribute without length is the last one")
    func noLength() {
        let message = Reply.message(MessageType.newTable, Reply.text(1, "nat"), [0, 0, 0, 0], Reply.number(3, 9))
        #expect(Reply.read(message, \.table) == [.init(family: .ip, name: "nat", use: 0)])
    }

    @Test("Numbers and names may be shorter, longer or no text at all")
    func oddPayloads() {
        func use(_ payload: [UInt8]) -> UInt32? {
            Reply.read(Reply.message(MessageType.newTable, Reply.attribute(3, payload)), \.table).first?.use
        }
        #expect(use([]) == 0)
        #expect(use([1, 2, 3]) == 0)
        #expect(use([0, 0, 0, 5, 9]) == 5)
        func name(_ payload: [UInt8]) -> String? {
            Reply.read(Reply.message(MessageType.newTable, Reply.attribute(1, payload)), \.table).first?.name
        }
        #expect(name([]) == "")
        #expect(name([0x61, 0x62]) == "ab")
        #expect(name([0x61, 0, 0x62, 0]) == "a")
        #expect(name([0x61, 0xff, 0]) == "a\u{fffd}")
    }
}
