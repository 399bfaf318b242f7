/// Reads one JSON text, strictly by RFC 8259: it refuses everything outside the grammar, and also text that
/// is not UTF-8, lone surrogates and duplicate keys.
public enum JSONReader {
    /// The levels of arrays and objects taken by default.
    public static let defaultDepth = 32

    /// Reads the whole of `bytes` as one value.
    ///
    /// The stack used and the recursion of releasing the value grow with `maximumDepth`, not with the input.
    ///
    /// - Throws: ``JSONReadError`` for the first fault in the text.
    public static func read(
        _ bytes: Span<UInt8>, maximumDepth: Int = defaultDepth
    ) throws(JSONReadError) -> JSONValue {
        var scanner = JSONScanner(maximumDepth: maximumDepth)
        return try scanner.document(bytes)
    }

    /// The same of an array.
    public static func read(
        _ bytes: [UInt8], maximumDepth: Int = defaultDepth
    ) throws(JSONReadError) -> JSONValue {
        try read(bytes.span, maximumDepth: maximumDepth)
    }

    /// The same of a text.
    public static func read(_ text: String, maximumDepth: Int = defaultDepth) throws(JSONReadError) -> JSONValue {
        try read(text.utf8Span.span, maximumDepth: maximumDepth)
    }
}

/// The reason that a text was refused; offsets count bytes from its start.
public enum JSONReadError: Error, Hashable {
    /// The text is not JSON; `reason` is a clause without full stop.
    case malformed(reason: String, offset: Int)
    /// An array or object was opened beyond the limit. What follows has not been read.
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
