public import NIOCore

/// Gathers the answers to one line and gives the line to send back.
///
/// A server makes one for each ``Incoming``, answers its entries in any order, and sends what ``finish()`` gives.
public struct ResponseWriter: Sendable {
    private let isBatch: Bool
    private var text = JSONText()
    private var count = 0

    public init(answering incoming: Incoming) {
        if case .batch = incoming { self.isBatch = true } else { self.isBatch = false }
    }

    /// Adds the answer to a request that succeeded.
    ///
    /// A result that cannot be encoded is answered with an internal error, of which the client learns no more; nothing
    /// half-written remains.
    ///
    /// - Returns: the error of encoding `result`, for the log.
    @discardableResult
    public mutating func write(result: some Encodable, id: RequestID) -> (any Error)? {
        let output = EncoderOutput()
        do {
            try output.write(result)
            let encoded = try output.finish()
            begin(id)
            text.append(verbatim: ",\"result\":")
            text.append(encoded)
            text.append(ascii: "}")
            return nil
        } catch {
            write(error: .internalError, id: id)
            return error
        }
    }

    /// Adds the answer to a request that failed or was no request.
    public mutating func write(error: ErrorObject, id: RequestID) {
        begin(id)
        text.append(verbatim: ",\"error\":")
        text.append(error.json)
        text.append(ascii: "}")
    }

    /// The line to send, its LF included; nil when there is nothing to answer, all entries being notifications.
    public consuming func finish() -> ByteBuffer? {
        guard count > 0 else { return nil }
        if isBatch { text.append(ascii: "]") }
        text.append(ascii: "\n")
        return ByteBuffer(bytes: text.bytes)
    }

    /// The bytes that are written and not handed over yet.
    public var writtenBytes: Int { text.count }

    /// Hands over what is written, to be sent ahead of the rest, so that the answers to a batch need not all be held at
    /// a time.
    public mutating func takeWritten() -> ByteBuffer {
        let written = ByteBuffer(bytes: text.bytes)
        text = JSONText()
        return written
    }

    private mutating func begin(_ id: RequestID) {
        precondition(isBatch || count == 0, "one request has one answer")
        if isBatch { text.append(ascii: count == 0 ? "[" : ",") }
        count += 1
        text.append(verbatim: "{\"jsonrpc\":\"2.0\",\"id\":")
        text.append(id.json)
    }
}
