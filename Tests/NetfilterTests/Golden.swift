import Testing

/// Bytes with a word about each line. `00*8` stands for eight zeros.
struct Golden {
    private let lines: [(bytes: [UInt8], comment: String)]

    init(_ lines: [(String, String)]) {
        self.lines = lines.map { (Self.bytes($0), $1) }
    }

    var bytes: [UInt8] { lines.flatMap(\.bytes) }

    /// Compares line by line, so that the line that differs is named.
    func expect(_ given: [UInt8], sourceLocation: SourceLocation = #_sourceLocation) {
        var rest = given[...]
        for line in lines {
            let part = Array(rest.prefix(line.bytes.count))
            rest = rest.dropFirst(line.bytes.count)
            if part != line.bytes {
                Issue.record(
                    "\(line.comment): \(Self.text(part)) instead of \(Self.text(line.bytes))",
                    sourceLocation: sourceLocation)
                return
            }
        }
        #expect(rest.isEmpty, "bytes behind the last line", sourceLocation: sourceLocation)
    }

    static func bytes(_ text: String) -> [UInt8] {
        text.split(separator: " ").flatMap { word -> [UInt8] in
            let parts = word.split(separator: "*")
            let digits = Array(parts[0])
            let bytes = stride(from: 0, to: digits.count, by: 2).map {
                UInt8(String(digits[$0...($0 + 1)]), radix: 16) ?? 0
            }
            let count = parts.count > 1 ? Int(parts[1]) ?? 0 : 1
            return Array(repeating: bytes, count: count).flatMap(\.self)
        }
    }

    private static func text(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
    }
}
