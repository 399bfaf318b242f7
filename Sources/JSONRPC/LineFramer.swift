public import NIOCore

/// Cuts a stream of bytes into lines ended by LF or CRLF; blank lines are passed over.
///
/// A connection feeds it what it reads and takes ``next()`` until that gives nil. Each byte is looked at once, however
/// the stream is cut into reads, and no more than a line of the limit and one read is held.
public struct LineFramer: Sendable {
    public enum Frame: Sendable, Hashable {
        /// A line without its ending.
        case line(ByteBuffer)
        /// A line went beyond the limit, told once and as soon as it is known. The rest of the line is dropped.
        case overlong
    }

    /// The most bytes of a line, its ending not counted.
    public let limit: Int

    private var input = ByteBuffer()
    /// The beginning of a line whose end has not been read; of one that is overlong, nothing.
    private var pending = ByteBuffer()
    private var isOverlong = false

    public init(limit: Int = 64 * 1024) {
        self.limit = limit
    }

    /// Whether the stream stands inside a line, that is whether bytes, be they blank, came after the last LF. It holds
    /// once ``next()`` has given nil; a connection bounds the time for which it stays true.
    public var isInsideLine: Bool { isOverlong || pending.readableBytes > 0 }

    /// Takes in what was read. To be called when ``next()`` has given nil.
    public mutating func feed(_ bytes: ByteBuffer) {
        if input.readableBytes == 0 {
            input = bytes
        } else {
            input.writeImmutableBuffer(bytes)
        }
    }

    /// The next line of what was fed, nil when no more ends in it.
    public mutating func next() -> Frame? {
        while let length = input.readableBytesView.firstIndex(of: UInt8(ascii: "\n")).map({ $0 - input.readerIndex }),
            let piece = input.readSlice(length: length)
        {
            input.moveReaderIndex(forwardBy: 1)
            if let frame = endLine(with: piece) { return frame }
        }
        let rest = input
        // A read without lines must not be kept alive by its last bytes.
        input = ByteBuffer()
        return keep(rest)
    }

    /// Ends the input, once ``next()`` has given nil, and gives its last line when that lacks an LF.
    public mutating func finish() -> Frame? {
        endLine(with: ByteBuffer())
    }

    /// Completes the line that is pending by its last piece.
    private mutating func endLine(with piece: ByteBuffer) -> Frame? {
        guard !isOverlong else {
            isOverlong = false
            return nil
        }
        var line = ByteBuffer()
        swap(&line, &pending)
        if line.readableBytes == 0 { line = piece } else { line.writeImmutableBuffer(piece) }
        if line.readableBytesView.last == UInt8(ascii: "\r") { line.moveWriterIndex(to: line.writerIndex - 1) }
        guard line.readableBytes <= limit else { return .overlong }
        return isBlank(line) ? nil : .line(line)
    }

    /// Holds back the beginning of a line.
    private mutating func keep(_ piece: ByteBuffer) -> Frame? {
        guard !isOverlong, piece.readableBytes > 0 else { return nil }
        let length = pending.readableBytes + piece.readableBytes
        // One byte beyond the limit may be the CR of the line's ending.
        guard length <= limit || length == limit + 1 && piece.readableBytesView.last == UInt8(ascii: "\r") else {
            pending = ByteBuffer()
            isOverlong = true
            return .overlong
        }
        pending.writeImmutableBuffer(piece)
        return nil
    }
}

private func isBlank(_ line: ByteBuffer) -> Bool {
    line.readableBytesView.allSatisfy {
        $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "\r")
    }
}
