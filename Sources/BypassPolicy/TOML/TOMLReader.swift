internal import Bypass

/// Reads a subset of TOML 1.0: tables, arrays of tables, and keys with strings, integers, booleans and arrays of these.
///
/// What it takes is TOML and means to it what it means to every TOML tool. What TOML has beyond that is refused by name.
/// After a fault it goes on with the next statement, so that all faults are found in one go. Nothing in it calls
/// itself: no file can exhaust the stack.
struct TOMLReader {
    /// With a line feed added, so that each line has one.
    let bytes: [UInt8]
    var position = 0
    var line = 1
    var diagnostics: [Diagnostic] = []
    private var document = TOMLDocument()
    private var table = TOMLDocument.Table(name: nil, line: 1)
    private var keys: Set<String> = []
    /// The position and the line of the current statement.
    private var statementStart = 0
    private var lineStart = 0
    /// Names of tables, and whether they are arrays of tables.
    private var names: [String: Bool] = [:]

    private init(_ bytes: [UInt8]) {
        self.bytes = bytes + [.lineFeed]
    }

    /// - Returns: What could be read, and what is wrong with the rest.
    static func read(_ bytes: [UInt8]) -> (document: TOMLDocument, diagnostics: [Diagnostic]) {
        var reader = TOMLReader(bytes)
        reader.readStatements()
        return (reader.document, reader.diagnostics)
    }

    private mutating func readStatements() {
        while position < bytes.count, diagnostics.count <= PolicyFileError.maxDiagnostics {
            statementStart = position
            do throws(Diagnostic) {
                skipBlanks()
                switch bytes[position] {
                case .openingBracket: try readHeader()
                case .hash, .carriageReturn, .lineFeed: break
                default: try readEntry()
                }
                try endLine()
            } catch {
                diagnostics.append(error)
                skipToStatement()
            }
        }
        document.tables.append(table)
    }

    // MARK: - Statements

    private mutating func readHeader() throws(Diagnostic) {
        document.tables.append(table)
        // What follows a header that cannot be read is not part of any table.
        table = TOMLDocument.Table(name: nil, line: line, isReadable: false)
        keys = []
        position += 1
        let isElement = take(.openingBracket)
        skipBlanks()
        let name = try readKey()
        skipBlanks()
        if bytes[position] == .dot { throw Diagnostic(line, "nested tables are not supported") }
        guard take(.closingBracket), !isElement || take(.closingBracket) else {
            throw Diagnostic(line, "the name of a table ends in \(isElement ? "]]" : "]"), not \(shown)")
        }
        table = TOMLDocument.Table(name: name, isElement: isElement, line: line)
        if let old = names.updateValue(isElement, forKey: name), !(old && isElement) {
            diagnostics.append(Diagnostic(line, "\(name.excerpt) is defined twice"))
        }
    }

    private mutating func readEntry() throws(Diagnostic) {
        let start = line
        let key = try readKey()
        if !keys.insert(key).inserted { diagnostics.append(Diagnostic(start, "\(key.excerpt) is defined twice")) }
        // Noted first: a key whose value is wrong is not missing.
        table.entries.append(TOMLDocument.Entry(key: key, line: start, value: nil))
        if table.name == nil, table.isReadable { names[key] = false }
        skipBlanks()
        if bytes[position] == .dot { throw Diagnostic(line, "dotted keys are not supported") }
        guard take(.equals) else { throw Diagnostic(line, "= and a value are expected after the key \(key.excerpt)") }
        skipBlanks()
        table.entries[table.entries.count - 1].value = try readValue()
    }

    private mutating func readKey() throws(Diagnostic) -> String {
        switch bytes[position] {
        case .quote, .apostrophe: return try readString()
        default: break
        }
        let start = position
        while bytes[position].isBareKey { position += 1 }
        guard position > start else { throw Diagnostic(line, "a key is expected here, not \(shown)") }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    // MARK: - Between statements

    /// Reads the end of a line, with blanks and a comment before it.
    mutating func endLine() throws(Diagnostic) {
        skipBlanks()
        if bytes[position] == .hash { try skipComment() }
        if isAtLongLineEnd { position += 1 }
        guard take(.lineFeed) else { throw Diagnostic(line, "the end of the line is expected here, not \(shown)") }
        line += 1
        lineStart = position
    }

    private mutating func skipComment() throws(Diagnostic) {
        while bytes[position] != .lineFeed {
            if isAtLongLineEnd { return }
            guard !bytes[position].isControl else { throw Diagnostic(line, "a comment holds \(shown)") }
            position += 1
        }
    }

    /// After a fault: to the next line that looks like a header or a key with its value. It may be the present one,
    /// where an array of an earlier line is not closed.
    private mutating func skipToStatement() {
        if lineStart > statementStart, lineStart < bytes.count, isStatement(at: lineStart) {
            position = lineStart
            return
        }
        while position < bytes.count {
            while bytes[position] != .lineFeed { position += 1 }
            position += 1
            line += 1
            lineStart = position
            if position < bytes.count, isStatement(at: position) { return }
        }
    }

    private func isStatement(at start: Int) -> Bool {
        let text = bytes[start...].drop { $0.isBlank }
        if text.first == .openingBracket { return true }
        let rest = text.drop { $0.isBareKey }
        return rest.startIndex > text.startIndex && rest.drop { $0.isBlank }.first == .equals
    }

    // MARK: - Bytes

    mutating func skipBlanks() {
        while bytes[position].isBlank { position += 1 }
    }

    /// Whether a line ends here in two bytes. The line feed that was added to the file is not a part of one.
    var isAtLongLineEnd: Bool {
        bytes[position] == .carriageReturn && bytes[position + 1] == .lineFeed && position + 2 < bytes.count
    }

    mutating func take(_ byte: UInt8) -> Bool {
        guard bytes[position] == byte else { return false }
        position += 1
        return true
    }

    /// The next character, for people.
    var shown: String {
        if bytes[position] == .lineFeed { return "the end of the line" }
        let length = min(4, bytes.count - position)
        let scalar = String(decoding: bytes[position..<position + length], as: UTF8.self).unicodeScalars.first
        return scalar.map { String($0).excerpt } ?? "nothing"
    }
}
