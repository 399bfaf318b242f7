/// JSON being written.
///
/// Everything that is sent passes here, so this is where no control character, of the C0 or the C1 set, and no Unicode
/// line separator is let out as itself: output may end up on a terminal.
///
/// A comma is written where one is needed: after the brackets that open an object or an array, and after a colon, none
/// is, and no complete value ends with one of these three.
public struct JSONText: Sendable {
    /// The text, and room behind it: to write into room costs a fraction of appending to an array.
    private var storage: [UInt8]
    public private(set) var count = 0

    /// - Parameter capacity: The bytes that are written without growing the array on the way; most messages fit.
    public init(capacity: Int = 512) {
        storage = [UInt8](repeating: 0, count: capacity)
    }

    /// The JSON of `value`.
    public static func bytes(of value: some JSONWritable) -> [UInt8] {
        var text = JSONText()
        value.write(to: &text)
        return text.finish()
    }

    /// The JSON of `value` and an LF.
    public static func line(of value: some JSONWritable) -> [UInt8] {
        var text = JSONText()
        value.write(to: &text)
        text.append(ascii: "\n")
        return text.finish()
    }

    /// Gives what is written, without a copy. To write the next text, call ``removeAll(keepingCapacity:)``.
    public mutating func finish() -> [UInt8] {
        storage.removeLast(storage.count - count)
        return storage
    }

    /// Begins again, in the same memory if that is at most `capacity` bytes and the array is not held elsewhere.
    public mutating func removeAll(keepingCapacity capacity: Int) {
        if storage.capacity > capacity { storage = [] }
        count = 0
        makeRoom(storage.capacity)
    }

    // MARK: room

    /// Appends the bytes that `write` puts into the room that it gets: all of it.
    @inline(__always)
    private mutating func append(_ length: Int, _ write: (UnsafeMutablePointer<UInt8>) -> Void) {
        let end = count + length
        if end > storage.count { makeRoom(max(end, storage.count * 2, 64)) }
        let start = count
        unsafe storage.withUnsafeMutableBufferPointer { buffer in
            guard let first = buffer.baseAddress else { return }
            unsafe write(first + start)
        }
        count = end
    }

    /// - Parameter size: of text and room together; not less than it is.
    private mutating func makeRoom(_ size: Int) {
        let (old, count) = (storage, count)
        // What the room holds is not read before it is written: to clear it would cost as much as to write it.
        storage = unsafe [UInt8](unsafeUninitializedCapacity: size) { new, initialized in
            unsafe old.withUnsafeBufferPointer { _ = unsafe new.initialize(fromContentsOf: $0[..<count]) }
            initialized = size
        }
    }

    private mutating func append(_ byte: UInt8) {
        unsafe append(1) { unsafe $0.pointee = byte }
    }

    /// Appends bytes that are JSON already.
    private mutating func append(_ bytes: Span<UInt8>) {
        unsafe append(bytes.count) { room in
            unsafe bytes.withUnsafeBufferPointer { source in
                guard let first = source.baseAddress else { return }
                unsafe room.update(from: first, count: source.count)
            }
        }
    }

    // MARK: values

    @inlinable
    public mutating func append(_ value: some JSONWritable) {
        value.write(to: &self)
    }

    /// Appends a value that was written before.
    public mutating func append(written bytes: Span<UInt8>) {
        append(bytes)
    }

    /// Appends a value that was written before, as a part of another text.
    package mutating func append(_ range: Range<Int>, of other: JSONText) {
        append(other.storage.span.extracting(range))
    }

    /// Removes what was written behind the first `count` bytes.
    package mutating func removeAll(after count: Int) {
        self.count = min(count, self.count)
    }

    public mutating func append(_ flag: Bool) {
        if flag { append(raw: "true") } else { append(raw: "false") }
    }

    public mutating func append(integer: some FixedWidthInteger) {
        guard let magnitude = UInt64(exactly: integer.magnitude) else { return append(verbatim: String(integer)) }
        if integer < 0 { append(ascii: "-") }
        append(digitsOf: magnitude)
    }

    private mutating func append(digitsOf number: UInt64) {
        var digits = InlineArray<20, UInt8>(repeating: 0)
        var (first, rest) = (20, number)
        repeat {
            first -= 1
            let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
            digits[first] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: digit)
            rest = quotient
        } while rest > 0
        append(digits.span.extracting(first..<20))
    }

    // MARK: objects and arrays

    /// Appends an object, whose members `write` appends.
    @inlinable
    public mutating func object(_ write: (inout JSONText) -> Void) {
        append(ascii: "{")
        write(&self)
        append(ascii: "}")
    }

    /// Appends an array, whose elements `write` appends, each after ``separate()``.
    @inlinable
    public mutating func array(_ write: (inout JSONText) -> Void) {
        append(ascii: "[")
        write(&self)
        append(ascii: "]")
    }

    /// Appends a member to the object that is open.
    @inlinable
    public mutating func member(_ key: StaticString, _ value: some JSONWritable) {
        append(key: key)
        value.write(to: &self)
    }

    /// Appends a member whose value is an object with the members that `write` appends.
    @inlinable
    public mutating func member(_ key: StaticString, _ write: (inout JSONText) -> Void) {
        append(key: key)
        object(write)
    }

    /// Appends the key of a member and its colon. A literal has nothing to escape.
    public mutating func append(key: StaticString) {
        let length = key.utf8CodeUnitCount
        let comma = isAtStart ? 0 : 1
        unsafe append(comma + length + 3) { room in
            // All at once: most of what is written are keys.
            unsafe room[0] = UInt8(ascii: ",")
            unsafe room[comma] = UInt8(ascii: "\"")
            unsafe (room + comma + 1).update(from: key.utf8Start, count: length)
            unsafe room[comma + length + 1] = UInt8(ascii: "\"")
            unsafe room[comma + length + 2] = UInt8(ascii: ":")
        }
    }

    /// Appends the key of a member and its colon.
    public mutating func append(key: String) {
        separate()
        append(key)
        append(ascii: ":")
    }

    /// Appends the comma that a further member or element needs.
    public mutating func separate() {
        if !isAtStart { append(ascii: ",") }
    }

    /// Whether a value, or the first member or element, comes next.
    private var isAtStart: Bool {
        guard count > 0 else { return true }
        return switch storage[count - 1] {
        case UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: ":"): true
        default: false
        }
    }

    // MARK: text

    @usableFromInline
    mutating func append(ascii character: Unicode.Scalar) {
        append(UInt8(ascii: character))
    }

    /// Appends a literal that is JSON already.
    public mutating func append(raw text: StaticString) {
        unsafe append(text.utf8CodeUnitCount) { unsafe $0.update(from: text.utf8Start, count: text.utf8CodeUnitCount) }
    }

    /// Appends what is JSON already.
    mutating func append(verbatim text: String) {
        append(text.utf8Span.span)
    }

    /// Appends a string, in quotes and escaped.
    public mutating func append(_ text: String) {
        let source = text.utf8Span.span
        var position = source.plainLength(from: 0)
        while position < source.count, escapedLength(source, at: position) == 0 { position += 1 }
        append(ascii: "\"")
        if position == source.count { append(source) } else { appendEscaping(source) }
        append(ascii: "\"")
    }

    /// Appends the inside of a string that has something to escape.
    private mutating func appendEscaping(_ source: Span<UInt8>) {
        var position = 0
        while position < source.count {
            let length = escapedLength(source, at: position)
            if length == 0 {
                append(source[position])
                position += 1
            } else {
                appendEscape(source, of: position..<position + length)
                position += length
            }
        }
    }

    private mutating func appendEscape(_ source: Span<UInt8>, of range: Range<Int>) {
        append(ascii: "\\")
        let first = source[range.lowerBound]
        switch first {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): append(first)
        case UInt8(ascii: "\n"): append(ascii: "n")
        case UInt8(ascii: "\r"): append(ascii: "r")
        case UInt8(ascii: "\t"): append(ascii: "t")
        default:
            // Of the scalars escaped, those of two bytes have their value in the second; those of three are U+2028/9.
            let last = source[range.upperBound - 1]
            let scalar = range.count == 3 ? 0x2000 | UInt16(last & 0x3F) : UInt16(last)
            append(ascii: "u")
            for shift in stride(from: 12, through: 0, by: -4) {
                let digit = UInt8(truncatingIfNeeded: scalar >> shift) & 0xF
                append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
            }
        }
    }
}

/// The number of bytes at `position` of a scalar that must be escaped: 0 if it is written as it is.
@inline(__always)
private func escapedLength(_ bytes: Span<UInt8>, at position: Int) -> Int {
    switch bytes[position] {
    case 0..<0x20, UInt8(ascii: "\""), UInt8(ascii: "\\"), 0x7F: 1
    // U+0080 to U+009F.
    case 0xC2: bytes[position + 1] < 0xA0 ? 2 : 0
    // U+2028 and U+2029.
    case 0xE2: bytes[position + 1] == 0x80 && bytes[position + 2] & 0xFE == 0xA8 ? 3 : 0
    default: 0
    }
}

extension Span<UInt8> {
    /// The length of the text from `start` on that JSON writes as it is, found eight bytes at a time: ASCII without control
    /// characters, quotes and backslashes. It may be up to seven bytes less.
    func plainLength(from start: Int) -> Int {
        let (ones, highs) = (0x0101_0101_0101_0101 as UInt64, 0x8080_8080_8080_8080 as UInt64)
        /// The high bit of each byte that is 0; of a byte behind the first one also where it is 1.
        func zeros(_ word: UInt64) -> UInt64 { (word &- ones) & ~word & highs }
        let bytes = unsafe bytes
        var position = start
        while position + 8 <= count {
            let word = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt64.self)
            let controls = (word &- ones &* 0x20) & ~word & highs
            let others = zeros(word ^ (ones &* 0x22)) | zeros(word ^ (ones &* 0x5C)) | zeros(word ^ (ones &* 0x7F))
            if (word & highs) | controls | others != 0 { break }
            position += 8
        }
        return position - start
    }
}

/// `text` for use in a message: in quotes, escaped as JSON so that a log or terminal is safe, and cut when it is long,
/// since it mostly comes from a client.
package func quoted(_ text: String) -> String {
    let limit = 64
    let head = text.unicodeScalars.prefix(limit)
    var result = JSONText()
    result.append(head.endIndex == text.endIndex ? text : String(head) + "…")
    return String(decoding: result.finish(), as: UTF8.self)
}
