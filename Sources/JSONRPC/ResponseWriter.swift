public import StrictJSON

/// Gathers the answers to one line after the other, and gives the line to send back for each.
///
/// A server readies it for each ``Incoming``, answers the entries in any order, and sends the line of ``finish()``.
public struct ResponseWriter: Sendable {
    private var isBatch = false
    /// The text written so far, but for its end, which is in `text`.
    private var pieces: [[UInt8]] = []
    private var text: JSONText
    private var count = 0

    /// Of more than that, a server sends what is written ahead of the rest; and a result that was written before is not
    /// copied.
    public static let pieceSize = 16 * 1024

    /// A buffer beyond this is not kept for the next line: a connection without a request should cost little.
    private static let keptCapacity = 4096

    /// Ready for the answer to a single request.
    public init() {
        text = JSONText(capacity: 1024)
    }

    public init(answering incoming: Incoming) {
        self.init()
        isBatch = incoming.isBatch
    }

    /// Readies it for the next line, in the same memory if the array of ``finish()`` has been released.
    public mutating func reset(answering incoming: Incoming) {
        isBatch = incoming.isBatch
        pieces = []
        text.removeAll(keepingCapacity: Self.keptCapacity)
        count = 0
    }

    /// Adds the answer to a request that succeeded.
    public mutating func write(result: some JSONWritable, id: RequestID) {
        begin(id)
        if let written = result.written, written.count > Self.pieceSize {
            text.append(key: "result")
            pieces += [text.finish(), written]
            text = JSONText()
        } else {
            text.member("result", result)
        }
        text.append(raw: "}")
    }

    /// Adds the answer to a request that failed, or to a line that is not a request.
    public mutating func write(error: ErrorObject, id: RequestID) {
        begin(id)
        text.member("error", error)
        text.append(raw: "}")
    }

    /// The line to send, its LF included; nil when there is nothing to answer, all entries being notifications.
    public mutating func finish() -> [UInt8]? {
        guard count > 0 else { return nil }
        text.append(raw: isBatch ? "]\n" : "\n")
        return pieces.isEmpty ? text.finish() : Array(takeWritten().joined())
    }

    /// The bytes that are written and not handed over yet.
    public var writtenBytes: Int { pieces.reduce(text.count) { $0 + $1.count } }

    /// Hands over what is written, to be sent ahead of the rest, so that the answers to a batch need not all be held at
    /// a time.
    public mutating func takeWritten() -> [[UInt8]] {
        let written = pieces + [text.finish()]
        (pieces, text) = ([], JSONText())
        return written
    }

    private mutating func begin(_ id: RequestID) {
        precondition(isBatch || count == 0, "one request has one answer")
        if isBatch { text.append(raw: count == 0 ? "[" : ",") }
        count += 1
        text.append(raw: "{\"jsonrpc\":\"2.0\"")
        text.member("id", id)
    }
}

extension Incoming {
    fileprivate var isBatch: Bool {
        guard case .batch = self else { return false }
        return true
    }
}
