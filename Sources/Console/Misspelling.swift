extension String {
    /// The one of these words that this is a misspelling of, or else the only one that begins with it.
    package func meant(of words: [String]) -> String? {
        if let nearest = nearest(of: words) { return nearest }
        let longer = words.filter { $0.count > count && $0.lowercased().hasPrefix(lowercased()) }
        // One letter is the beginning of too much.
        return longer.count == 1 && count > 1 ? longer.first : nil
    }

    /// The one of these words that this is a misspelling of; nil if none is near enough.
    package func nearest(of words: [String]) -> String? {
        let (written, words) = (lowercased(), words.filter { $0 != self })
        let near = words.map { (word: $0, distance: written.distance(to: $0.lowercased())) }
            .min { $0.distance < $1.distance }
        guard let near, near.distance <= max(1, count / 3) else { return nil }
        return near.word
    }

    /// The number of characters to insert, remove, replace, or exchange with the next one (the optimal string
    /// alignment distance).
    private func distance(to other: String) -> Int {
        let (a, b) = (Array(self), Array(other))
        var rows = [Array(0...b.count)]
        for (i, x) in a.enumerated() {
            var row = [i + 1]
            for (j, y) in b.enumerated() {
                var best = Swift.min(rows[i][j + 1] + 1, row[j] + 1, rows[i][j] + (x == y ? 0 : 1))
                if i > 0, j > 0, x == b[j - 1], y == a[i - 1] { best = Swift.min(best, rows[i - 1][j - 1] + 1) }
                row.append(best)
            }
            rows.append(row)
        }
        return rows[a.count][b.count]
    }
}
