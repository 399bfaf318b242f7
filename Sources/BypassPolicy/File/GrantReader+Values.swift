internal import Bypass

extension GrantReader {
    mutating func diagnose(_ line: Int, _ message: String) {
        if diagnostics.count <= PolicyFileError.maxDiagnostics { diagnostics.append(Diagnostic(line, message)) }
    }

    mutating func mistyped<Value>(_ key: Key, _ value: TOMLDocument.Value, _ wanted: String) -> Value? {
        diagnose(value.line, "\(key.rawValue): \(wanted), not \(value.content.kind)")
        return nil
    }

    mutating func readBoolean(_ key: Key) -> Bool? {
        guard let value = value(key) else { return nil }
        if case .boolean(let flag) = value.content { return flag }
        return mistyped(key, value, "takes true or false")
    }

    /// The elements of an array, which may not be empty.
    mutating func elements(_ key: Key, example: String) -> [TOMLDocument.Value]? {
        guard let value = value(key) else { return nil }
        guard case .array(let elements) = value.content else {
            return mistyped(key, value, "takes an array, such as [\(example.excerpt)]")
        }
        if elements.isEmpty {
            diagnose(value.line, "\(key.rawValue): is empty: leave it out, or put something in")
            return nil
        }
        return elements
    }

    /// The texts of an array, each there once, with their lines.
    mutating func texts(_ key: Key, example: String) -> [(text: String, line: Int)]? {
        guard let elements = elements(key, example: example) else { return nil }
        var texts: [(String, Int)] = []
        var seen: Set<String> = []
        for element in elements {
            guard case .string(let text) = element.content else {
                diagnose(element.line, "\(key.rawValue): takes texts, not \(element.content.kind)")
                continue
            }
            if !seen.insert(text).inserted { diagnose(element.line, "\(key.rawValue): \(text.excerpt) is there twice") }
            texts.append((text, element.line))
        }
        return texts
    }
}

extension TOMLDocument.Value.Content {
    /// For people.
    var kind: String {
        switch self {
        case .string: "a text"
        case .integer: "a number"
        case .boolean: "true or false"
        case .array: "an array"
        }
    }
}
