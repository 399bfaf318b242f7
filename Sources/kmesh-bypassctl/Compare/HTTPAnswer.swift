/// As much of an answer of HTTP/1 as its status and its end need (RFC 9112).
struct HTTPAnswer {
    private var head: [UInt8] = []
    private var hasHead = false
    private(set) var count = 0
    /// The number of the body's missing bytes; nil if it ends with the connection, or is in chunks.
    private var rest: Int?
    private var chunks: ChunkedBody?

    private static let endOfHead = Array("\r\n\r\n".utf8)

    mutating func append(_ bytes: ArraySlice<UInt8>) {
        count += bytes.count
        if hasHead { return appendBody(bytes) }
        // The end may have begun in what came before.
        let start = max(0, head.count - Self.endOfHead.count + 1)
        head += bytes
        guard let end = head.indices.dropFirst(start).first(where: { head[$0...].starts(with: Self.endOfHead) }) else {
            return
        }
        let body = head[(end + Self.endOfHead.count)...]
        head = Array(head[..<end])
        // An interim answer comes before the one that counts.
        if let status, status < 200 {
            head = []
            count -= body.count
            return append(body)
        }
        hasHead = true
        readHead()
        appendBody(body)
    }

    private mutating func readHead() {
        if status == 204 || status == 304 { rest = 0 }
        for line in String(decoding: head, as: UTF8.self).split(separator: "\r\n").dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1).map { $0.lowercased() }
            guard parts.count == 2 else { continue }
            switch parts[0] {
            case "content-length" where rest == nil: rest = Int(parts[1].filter { $0 != " " })
            case "transfer-encoding" where parts[1].hasSuffix("chunked"): chunks = ChunkedBody()
            default: break
            }
        }
        if chunks != nil { rest = nil }
    }

    private mutating func appendBody(_ bytes: ArraySlice<UInt8>) {
        chunks?.append(bytes)
        rest = rest.map { max(0, $0 - bytes.count) }
    }

    /// nil if it does not begin as an answer of HTTP.
    var status: Int? {
        let line = String(decoding: head.prefix { $0 != 0x0d }, as: UTF8.self).split(separator: " ")
        guard line.count > 1, line[0].hasPrefix("HTTP/1.") else { return nil }
        return Int(line[1]).flatMap { (100...599).contains($0) ? $0 : nil }
    }

    /// Whether nothing more is to come. Without a length, the server closes the connection at the end.
    var isComplete: Bool { hasHead && (rest == 0 || chunks?.isComplete == true) }

    /// Whether it was all that was announced.
    var isWhole: Bool { isComplete || (hasHead && rest == nil && chunks == nil) }
}

/// Finds the end of a body in chunks.
private struct ChunkedBody {
    private var line: [UInt8] = []
    /// The number of a chunk's missing bytes, with the end of its line.
    private var rest = 0
    private var isTrailer = false
    private(set) var isComplete = false

    mutating func append(_ bytes: ArraySlice<UInt8>) {
        var bytes = bytes
        while let byte = bytes.first, !isComplete {
            if rest > 0 {
                let count = min(rest, bytes.count)
                rest -= count
                bytes = bytes.dropFirst(count)
                continue
            }
            bytes = bytes.dropFirst()
            if byte == UInt8(ascii: "\n") { endLine() } else { line.append(byte) }
        }
    }

    private mutating func endLine() {
        let text = String(decoding: line.filter { $0 != UInt8(ascii: "\r") }, as: UTF8.self)
        line = []
        if isTrailer {
            isComplete = text.isEmpty
        } else if let size = UInt32(text.prefix(while: \.isHexDigit), radix: 16) {
            isTrailer = size == 0
            rest = size == 0 ? 0 : Int(size) + 2
        } else {
            // Not a size: where the body ends is not known.
            rest = .max
        }
    }
}
