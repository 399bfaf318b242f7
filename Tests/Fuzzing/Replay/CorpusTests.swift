import Linux
import Testing

/// Every input that was once worth keeping, without a fuzzer: what it has found stays found.
@Suite struct CorpusTests {
    private static func corpus(_ fuzzer: String) -> [String] {
        let folder = #filePath.dropLast("Replay/CorpusTests.swift".count) + fuzzer + "/corpus"
        return Files.entries(in: String(folder)).map { "\(folder)/\($0.name)" }.sorted()
    }

    @Test("What clients send", .timeLimit(.minutes(1)))
    func requestLine() throws {
        let inputs = Self.corpus("RequestLine")
        #expect(inputs.count > 20)
        for input in inputs {
            #expect(throws: Never.self, "\(input)") { try RequestLine.check(try Files.read(input)) }
        }
    }

    @Test("What the kernel says", .timeLimit(.minutes(1)))
    func netlinkReplies() throws {
        let inputs = Self.corpus("NetlinkReplies")
        #expect(inputs.count > 20)
        for input in inputs {
            #expect(throws: Never.self, "\(input)") { try NetlinkReplies.check(try Files.read(input)) }
        }
    }
}
