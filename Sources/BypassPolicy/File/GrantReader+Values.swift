internal import Bypass

extension GrantReader {
    mutating func diagnose(_ line: Int, _ message: String) {
        if diagnostics.count <= PolicyFileError.maxDiagnostics { diagnostics.append(Diagnostic(line, message)) }
    }

    mutating func warn(_ line: Int, _ message: String) {
        if warnings.count < PolicyFileError.maxDiagnostics { warnings.append(Diagnostic(line, message)) }
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
                diagnose(element.line, "\(key.rawValue): takes strings, not \(element.content.kind)")
                continue
            }
            if !seen.insert(text).inserted {
                diagnose(element.line, "\(key.rawValue): \(text.excerpt) is listed twice")
            }
            texts.append((text, element.line))
        }
        return texts
    }
}

extension TOMLDocument.Value.Content {
    /// For people.
    var kind: String {
        switch self {
        case .string: "a string"
        case .integer: "a number"
        case .boolean: "true or false"
        case .array: "an array"
        }
    }
}

/// The valid words in place of a wrong one: the nearest if one is near, otherwise all.
func suggestion<Words: RawRepresentable<String> & CaseIterable>(for text: String, of words: Words.Type) -> String {
    let near = words.allCases.map { ($0.rawValue, distance(from: text, to: $0.rawValue)) }.min { $0.1 < $1.1 }
    if let near, near.1 <= 2 { return "; did you mean \(near.0.excerpt)?" }
    return ": it is one of \(list(words))"
}

func list<Words: RawRepresentable<String> & CaseIterable>(_: Words.Type) -> String {
    Words.allCases.map(\.rawValue).joined(separator: ", ")
}

/// The number of letters to insert, remove or change to turn one word into another (Levenshtein).
private func distance(from text: String, to word: String) -> Int {
    let (text, word) = (Array(text.utf8), Array(word.utf8))
    // What is so much longer is not near, and may be a megabyte.
    guard abs(text.count - word.count) <= 2 else { return .max }
    var row = Array(0...word.count)
    for (i, letter) in text.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for j in word.indices {
            let changed = diagonal + (letter == word[j] ? 0 : 1)
            diagonal = row[j + 1]
            row[j + 1] = min(changed, row[j] + 1, row[j + 1] + 1)
        }
    }
    return row[word.count]
}
