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
