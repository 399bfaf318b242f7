public import NIOCore

/// Writes the lines of requests, for clients.
public enum RequestWriter {
    /// Appends a request and its LF to `buffer`.
    ///
    /// - Parameters:
    ///   - params: What encodes as an object or an array.
    ///   - id: nil makes it a notification.
    /// - Throws: What ``JSONEncoding`` throws for `params`, and `EncodingError` when they encode as something else;
    ///   nothing is written then.
    public static func write(
        method: String, params: some Encodable, id: RequestID?, into buffer: inout ByteBuffer
    ) throws {
        let output = EncoderOutput()
        try output.write(params)
        let encoded = try output.finish()
        guard let first = encoded.bytes.first, first == UInt8(ascii: "{") || first == UInt8(ascii: "[") else {
            throw EncodingError.invalidValue(
                params, .init(codingPath: [], debugDescription: "params must be an object or an array"))
        }
        var text = opening(method: method, id: id)
        text.append(verbatim: ",\"params\":")
        buffer.writeBytes(text.bytes)
        buffer.writeBytes(encoded.bytes)
        buffer.writeStaticString("}\n")
    }

    /// Appends a request without parameters and its LF to `buffer`.
    public static func write(method: String, id: RequestID?, into buffer: inout ByteBuffer) {
        buffer.writeBytes(opening(method: method, id: id).bytes)
        buffer.writeStaticString("}\n")
    }

    /// A request up to its method.
    private static func opening(method: String, id: RequestID?) -> JSONText {
        var text = JSONText()
        text.append(verbatim: "{\"jsonrpc\":\"2.0\"")
        if let id {
            text.append(verbatim: ",\"id\":")
            text.append(id.json)
        }
        text.append(verbatim: ",\"method\":")
        text.append(method)
        return text
    }
}
