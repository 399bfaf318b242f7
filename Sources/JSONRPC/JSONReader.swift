public import NIOCore

/// Reads one JSON text, strictly by RFC 8259: nothing the grammar does not have is let through, and neither are
/// text that is not UTF-8, lone surrogates and duplicate keys.
public enum JSONReader {
    /// The levels of arrays and objects taken when nothing else is said.
    public static let defaultDepth = 32

    /// Reads the whole of `bytes` as one value.
    ///
    /// The stack used and the recursion of releasing the value grow with `maximumDepth`, not with the input.
    ///
    /// - Throws: ``JSONReadError`` for the first thing in the text that is wrong.
    public static func read(
        _ bytes: Span<UInt8>, maximumDepth: Int = defaultDepth
    ) throws(JSONReadError) -> JSONValue {
        var scanner = JSONScanner(maximumDepth: maximumDepth)
        return try scanner.document(bytes)
    }

    /// Reads the readable bytes of `buffer` as one value.
    public static func read(
        _ buffer: ByteBuffer, maximumDepth: Int = defaultDepth
    ) throws(JSONReadError) -> JSONValue {
        try read(buffer.readableBytesUInt8Span, maximumDepth: maximumDepth)
    }
}

/// Why a text was refused; offsets count bytes from its start.
public enum JSONReadError: Error, Hashable {
    /// The text is not JSON as this module takes it; `reason` is a clause without full stop.
    case malformed(reason: String, offset: Int)
    /// An array or object was opened beyond the limit. What follows was not looked at.
    case tooDeep(limit: Int, offset: Int)
}

extension JSONReadError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .malformed(let reason, let offset): "\(reason) at byte \(offset)"
        case .tooDeep(let limit, let offset): "more than \(limit) levels of nesting at byte \(offset)"
        }
    }
}
