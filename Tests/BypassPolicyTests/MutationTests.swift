import BypassPolicy
import Testing

/// No bytes whatever do more harm than a complaint.
@Suite struct MutationTests {
    private static let sample = Array(
        """
        # comment
        [[grant]]
        users = ["alice", 1001_0, 'bob']
        "groups" = [ # more
          "kmesh", 0x1F,
        ]
        role = "bypass"
        namespaces = ["web-[a-c]*", "p\\u006Fd:?"]
        directions = ["inbound"]
        max-ttl = "1h"
        require-ttl = true
        [[grant]]
        groups = ["wheel"]
        role = "admin"
        host = true

        """.utf8)

    /// Bytes that mean something to the reader, and some that mean nothing.
    private static let bytes =
        Array("[]{}\"'\\#=,.\n\r\t -_0x9aueU+".utf8) + [0, 1, 0x7F, 0x80, 0xC3, 0xE2, 0xF0, 0xFF]

    /// The few that begin and end things.
    private static let structure = Array("[]\"'\\#=,\n\r".utf8) + [0, 0xFF]

    private func check(_ bytes: [UInt8]) {
        let lines = 1 + bytes.split(separator: 0x0A, omittingEmptySubsequences: false).count
        for line in diagnostics(bytes) {
            let number = line.split(separator: ":").dropFirst().first.flatMap { Int($0) }
            if !(number.map { (1...lines).contains($0) } ?? line.contains("more")) {
                Issue.record("\(line) of \(String(decoding: bytes.prefix(1000), as: UTF8.self))")
            }
        }
    }

    @Test func `Cut at every byte`() {
        #expect(diagnostics(Self.sample) == [])
        for length in 0...Self.sample.count { check(Array(Self.sample[..<length])) }
    }

    @Test func `Every byte replaced, taken out, put in and doubled`() {
        for position in Self.sample.indices {
            for byte in Self.structure {
                var replaced = Self.sample
                replaced[position] = byte
                check(replaced)
                var longer = Self.sample
                longer.insert(byte, at: position)
                check(longer)
            }
            var shorter = Self.sample
            shorter.remove(at: position)
            check(shorter)
        }
    }

    @Test func `Bytes at random`() {
        var random = Numbers(state: 20_261_123)
        for _ in 0..<20_000 {
            check((0..<Int(random.next() % 40)).map { _ in Self.bytes[Int(random.next() % UInt64(Self.bytes.count))] })
        }
    }

    @Test func `Large files, also those made to be slow`() {
        for piece in ["[", "a=[", "\"", "[[grant]]\n", "a=1\n", "#", "a=[1,\n", "\\", "x", "[[grant]]\nusers=[1]\n"] {
            let text = String(repeating: piece, count: 100_000 / piece.utf8.count)
            check(Array(text.utf8))
            check(Array(("[[grant]]\nusers = [" + text).utf8))
        }
        let maxBytes = PolicyFile.maxBytes
        check(Array(("[[grant]]\nusers = [" + String(repeating: "-1,", count: maxBytes / 3 - 10)).utf8))
        #expect(
            diagnostics([UInt8](repeating: 0x23, count: maxBytes + 1)) == ["f:1: the file is larger than 1048576 bytes"]
        )
    }

    @Test func `Bytes that are not UTF-8 are reported with their line`() {
        #expect(diagnostics([0x23, 0x0A, 0x23, 0xC3, 0x28]) == ["f:2: this is not UTF-8"])
        #expect(diagnostics([0xEF, 0xBB, 0xBF]).first?.contains("byte order mark") == true)
        // A surrogate, and an overlong slash.
        #expect(diagnostics([0x23, 0xED, 0xA0, 0x80]) == ["f:1: this is not UTF-8"])
        #expect(diagnostics([0x23, 0xC0, 0xAF]) == ["f:1: this is not UTF-8"])
    }
}

/// The same numbers in each run (SplitMix64).
private struct Numbers: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
