/// Cuts a stream of bytes into lines ended by LF or CRLF.
///
/// A connection feeds it each read and takes ``next()`` until that gives nil. Each byte is examined once, however the
/// stream is cut into reads, and nothing is held but the beginning of a line that has not ended yet.
public struct LineFramer: Sendable {
    public enum Frame: Sendable, Hashable {
        /// A line without its ending. It shares the memory of the read: use it up before the next one is fed.
        case line(ArraySlice<UInt8>)
        /// A line of spaces and tabs, or of nothing.
        case blank
        /// A line beyond the limit, reported once and as soon as it is known. The rest of the line is dropped.
        case overlong
    }

    /// The most bytes of a line, its ending not counted.
    public let limit: Int

    /// The pending line, and the reads after its beginning that have not been framed.
    private var input: [UInt8] = []
    /// The start of the pending line, and the end of the part that has been searched.
    private var start = 0
    private var searched = 0
    private var isOverlong = false

    public init(limit: Int = 64 * 1024) {
        self.limit = limit
    }

    /// Whether the stream stands inside a line: whether bytes, even blank ones, came after the last LF. It holds once
    /// ``next()`` has given nil; a connection bounds the time for which it stays true.
    public var isInsideLine: Bool { isOverlong || start < input.count }

    /// Takes in a read. To be called when ``next()`` has given nil.
    public mutating func feed(_ bytes: Span<UInt8>) {
        input.append(addingCapacity: bytes.count) { output in
            for position in bytes.indices { output.append(bytes[position]) }
        }
    }

    /// The same, without a copy when no line is pending.
    public mutating func feed(_ bytes: [UInt8]) {
        if input.isEmpty { input = bytes } else { input += bytes }
    }

    /// The next line of what was fed, nil when no more ends in it.
    public mutating func next() -> Frame? {
        while let end = nextLineFeed() {
            let line = start..<end
            start = end + 1
            searched = start
            guard isOverlong else { return frame(line) }
            isOverlong = false
        }
        return keepPendingLine()
    }

    /// Ends the input, once ``next()`` has given nil, and gives its last line when that lacks an LF.
    public mutating func finish() -> Frame? {
        defer { self = LineFramer(limit: limit) }
        return start < input.count ? frame(start..<input.count) : nil
    }

    private func nextLineFeed() -> Int? {
        let bytes = input.span
        var position = searched
        while position < bytes.count {
            if bytes[position] == UInt8(ascii: "\n") { return position }
            position += 1
        }
        return nil
    }

    private func frame(_ line: Range<Int>) -> Frame {
        let bytes = input.span
        var line = line
        if let last = line.last, bytes[last] == UInt8(ascii: "\r") { line = line.lowerBound..<last }
        guard line.count <= limit else { return .overlong }
        for position in line where !isBlank(bytes[position]) { return .line(input[line]) }
        return .blank
    }

    /// Holds back the beginning of a line, and no other memory.
    private mutating func keepPendingLine() -> Frame? {
        let length = input.count - start
        guard !isOverlong, length > 0 else {
            drop()
            return nil
        }
        // One byte beyond the limit may be the CR of the line's ending.
        guard length <= limit || length == limit + 1 && input.last == UInt8(ascii: "\r") else {
            isOverlong = true
            drop()
            return .overlong
        }
        if start > 0 { input = Array(input[start...]) }
        start = 0
        searched = input.count
        return nil
    }

    private mutating func drop() {
        input = []
        start = 0
        searched = 0
    }
}

private func isBlank(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
}
