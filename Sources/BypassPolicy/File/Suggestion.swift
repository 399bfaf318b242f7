internal import Bypass

/// What can stand where something else was written: the nearest if one is near, otherwise all.
func suggestion<Words: RawRepresentable<String> & CaseIterable>(for text: String, of words: Words.Type) -> String {
    let near = words.allCases.map { ($0.rawValue, distance(from: text, to: $0.rawValue)) }.min { $0.1 < $1.1 }
    if let near, near.1 <= 2 { return "; did you mean \(near.0.excerpt)?" }
    return ": it is one of \(list(words))"
}

func list<Words: RawRepresentable<String> & CaseIterable>(_: Words.Type) -> String {
    Words.allCases.map(\.rawValue).joined(separator: ", ")
}

/// How many letters have to be put in, taken out or changed to make one word of another (Levenshtein).
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
