/// The recursive descent behind ``JSONReader``. It holds the position only: a span cannot be stored, so each step is
/// handed the bytes.
struct JSONScanner {
    private let maximumDepth: Int
    private var depth = 0
    var offset = 0

    init(maximumDepth: Int) {
        self.maximumDepth = maximumDepth
    }

    mutating func document(_ bytes: Span<UInt8>) throws(JSONReadError) -> JSONValue {
        skipWhitespace(bytes)
        let value = try self.value(bytes)
        skipWhitespace(bytes)
        guard offset == bytes.count else { throw malformed("unexpected text after the value") }
        return value
    }

    private mutating func value(_ bytes: Span<UInt8>) throws(JSONReadError) -> JSONValue {
        guard let first = peek(bytes) else { throw malformed("a value is missing") }
        switch first {
        case UInt8(ascii: "\""): return .string(try string(bytes))
        case UInt8(ascii: "{"): return .object(try object(bytes))
        case UInt8(ascii: "["): return .array(try array(bytes))
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number(try number(bytes))
        case UInt8(ascii: "t"): return try literal("true", .bool(true), bytes)
        case UInt8(ascii: "f"): return try literal("false", .bool(false), bytes)
        case UInt8(ascii: "n"): return try literal("null", .null, bytes)
        default: throw malformed("no JSON value begins here")
        }
    }

    private mutating func object(_ bytes: Span<UInt8>) throws(JSONReadError) -> JSONObject {
        try descend()
        var object = JSONObject()
        if !take(UInt8(ascii: "}"), bytes) {
            object.reserveCapacity(4)
            repeat {
                guard peek(bytes) == UInt8(ascii: "\"") else { throw malformed("a key in quotes is missing") }
                let keyOffset = offset
                let key = try string(bytes)
                guard take(UInt8(ascii: ":"), bytes) else { throw malformed("a colon is missing") }
                guard object.append(try value(bytes), forKey: key) else {
                    throw .malformed(reason: "duplicate key \(quoted(key))", offset: keyOffset)
                }
            } while take(UInt8(ascii: ","), bytes)
            guard take(UInt8(ascii: "}"), bytes) else { throw malformed("a comma or a closing brace is missing") }
        }
        depth -= 1
        return object
    }

    private mutating func array(_ bytes: Span<UInt8>) throws(JSONReadError) -> [JSONValue] {
        try descend()
        var elements: [JSONValue] = []
        if !take(UInt8(ascii: "]"), bytes) {
            elements.reserveCapacity(4)
            repeat { elements.append(try value(bytes)) } while take(UInt8(ascii: ","), bytes)
            guard take(UInt8(ascii: "]"), bytes) else { throw malformed("a comma or a closing bracket is missing") }
        }
        depth -= 1
        return elements
    }

    /// Steps over an opening bracket. The limit is checked here, before any recursion.
    private mutating func descend() throws(JSONReadError) {
        guard depth < maximumDepth else { throw .tooDeep(limit: maximumDepth, offset: offset) }
        depth += 1
        offset += 1
    }

    private mutating func number(_ bytes: Span<UInt8>) throws(JSONReadError) -> JSONNumber {
        let start = offset
        if peek(bytes) == UInt8(ascii: "-") { offset += 1 }
        if peek(bytes) == UInt8(ascii: "0") {
            offset += 1
            if let next = peek(bytes), isDigit(next) { throw malformed("a number has a leading zero") }
        } else {
            try digits(bytes)
        }
        if peek(bytes) == UInt8(ascii: ".") {
            offset += 1
            try digits(bytes)
        }
        if let exponent = peek(bytes), exponent | 0x20 == UInt8(ascii: "e") {
            offset += 1
            if let sign = peek(bytes), sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { offset += 1 }
            try digits(bytes)
        }
        return JSONNumber(checked: try text(bytes, start..<offset))
    }

    private mutating func digits(_ bytes: Span<UInt8>) throws(JSONReadError) {
        let start = offset
        while let byte = peek(bytes), isDigit(byte) { offset += 1 }
        guard offset > start else { throw malformed("a number lacks a digit") }
    }

    private mutating func literal(
        _ name: String, _ value: JSONValue, _ bytes: Span<UInt8>
    ) throws(JSONReadError) -> JSONValue {
        for expected in name.utf8 {
            guard peek(bytes) == expected else { throw malformed("no JSON value is spelled like this") }
            offset += 1
        }
        return value
    }
}

extension JSONScanner {
    func peek(_ bytes: Span<UInt8>) -> UInt8? {
        offset < bytes.count ? bytes[offset] : nil
    }

    /// Steps over `byte` and the whitespace on both sides of it, when it comes next.
    private mutating func take(_ byte: UInt8, _ bytes: Span<UInt8>) -> Bool {
        skipWhitespace(bytes)
        guard peek(bytes) == byte else { return false }
        offset += 1
        skipWhitespace(bytes)
        return true
    }

    private mutating func skipWhitespace(_ bytes: Span<UInt8>) {
        while let byte = peek(bytes),
            byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\n")
                || byte == UInt8(ascii: "\r")
        {
            offset += 1
        }
    }

    func malformed(_ reason: String) -> JSONReadError {
        .malformed(reason: reason, offset: offset)
    }
}
