extension String {
    /// As much of the beginning as has at most so many bytes in UTF-8, without a part of a Unicode scalar. Characters are no
    /// measure: one can have any number of combining marks.
    package func truncated(toBytes limit: Int) -> String {
        guard var end = utf8.index(startIndex, offsetBy: limit, limitedBy: endIndex) else { return self }
        // A continuation byte (10xxxxxx) does not begin a scalar.
        while end < endIndex, utf8[end] & 0xC0 == 0x80 { end = utf8.index(before: end) }
        return String(self[..<end])
    }
}
