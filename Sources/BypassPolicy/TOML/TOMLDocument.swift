/// A file in the subset of TOML that ``TOMLReader`` takes, in the order in which it is written.
struct TOMLDocument: Hashable, Sendable {
    /// A value, and the line in which it begins.
    struct Value: Hashable, Sendable {
        enum Content: Hashable, Sendable {
            case string(String)
            case integer(Int)
            case boolean(Bool)
            case array([Value])
        }

        var line: Int
        var content: Content
    }

    struct Entry: Hashable, Sendable {
        var key: String
        var line: Int
        /// nil of one that could not be read; there is a diagnostic about that.
        var value: Value?
    }

    struct Table: Hashable, Sendable {
        /// nil of what stands before the first header.
        var name: String?
        /// Whether it has a header in two brackets, as an element of an array of tables.
        var isElement = false
        var line: Int
        /// Whether its header could be read.
        var isReadable = true
        var entries: [Entry] = []
    }

    var tables: [Table] = []
}

/// The bytes that TOML gives a meaning.
extension UInt8 {
    static let tab = UInt8(ascii: "\t")
    static let lineFeed = UInt8(ascii: "\n")
    static let carriageReturn = UInt8(ascii: "\r")
    static let quote = UInt8(ascii: "\"")
    static let apostrophe = UInt8(ascii: "'")
    static let backslash = UInt8(ascii: "\\")
    static let hash = UInt8(ascii: "#")
    static let equals = UInt8(ascii: "=")
    static let comma = UInt8(ascii: ",")
    static let dot = UInt8(ascii: ".")
    static let openingBracket = UInt8(ascii: "[")
    static let closingBracket = UInt8(ascii: "]")
    static let openingBrace = UInt8(ascii: "{")

    var isBlank: Bool { self == .tab || self == UInt8(ascii: " ") }
    var isDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }
    /// A character that TOML allows nowhere as it is, a tab excepted.
    var isControl: Bool { self < 0x20 && self != .tab || self == 0x7F }

    /// A character of a key without quotes.
    var isBareKey: Bool {
        isDigit || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self)
            || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self) || self == UInt8(ascii: "-")
            || self == UInt8(ascii: "_")
    }
}
