import Linux
import Testing

/// Every input that was once worth keeping, without a fuzzer: what it has found stays found.
@Suite struct CorpusTests {
    private static func inputs(of fuzzer: String) throws -> [String] {
        let folder = #filePath.dropLast("Replay/CorpusTests.swift".count) + fuzzer + "/corpus"
        return try Files.entries(in: String(folder)).map { "\(folder)/\($0.name)" }.sorted()
    }

    private static let fuzzers: [(name: String, check: @Sendable ([UInt8]) throws -> Void)] = [
        ("RequestLine", { try RequestLine.check($0) }), ("NetlinkReplies", { try NetlinkReplies.check($0) }),
        ("LegacyEntries", { try LegacyEntries.check($0) }), ("PolicyText", { try PolicyText.check($0) }),
        ("RecordLines", { try RecordLines.check($0) }),
    ]

    @Test("No input of a corpus breaks a promise", .timeLimit(.minutes(1)), arguments: fuzzers.map(\.name))
    func corpus(_ fuzzer: String) throws {
        let check = try #require(Self.fuzzers.first { $0.name == fuzzer }).check
        let inputs = try Self.inputs(of: fuzzer)
        #expect(inputs.count > 10)
        for input in inputs {
            #expect(throws: Never.self, "\(input)") { try check(try Files.read(input)) }
        }
    }
}
