/// Writes `Encodable` values as compact JSON, the members of an object in the order in which they are encoded.
///
/// An absent optional is written as `null`, also by synthesized conformances: the members sent do not depend on their
/// values. A value that is sent often conforms to ``JSONWritableObject`` instead.
public enum JSONEncoding {
    /// The JSON of `value`.
    ///
    /// - Throws: `EncodingError` for a number that is not finite, a `superEncoder`, a container used after its parent
    ///   went on, and any error of the value's own `encode(to:)`.
    public static func bytes(of value: some Encodable) throws -> [UInt8] {
        let output = EncoderOutput()
        try output.write(value)
        return try output.finish()
    }

    /// The same as a text.
    public static func text(of value: some Encodable) throws -> String {
        String(decoding: try bytes(of: value), as: UTF8.self)
    }
}

/// The text of one encoding, shared by its encoders and containers.
final class EncoderOutput {
    /// All that changes often is in one value: each access to a property of a class is checked for exclusivity.
    var stream = JSONStream()
    private(set) var codingPath: [any CodingKey] = []
    private var firstMisuse: EncodingError?

    func write(_ value: some Encodable) throws {
        let encoder = ValueEncoder(output: self)
        try value.encode(to: encoder)
        stream.close(downTo: encoder.depth)
        // A type without stored properties need not ask for a container.
        if stream.text.count == encoder.start { stream.text.append(raw: "{}") }
    }

    func write(_ value: some Encodable, at key: some CodingKey) throws {
        codingPath.append(key)
        defer { codingPath.removeLast() }
        try write(value)
    }

    /// The complete text.
    ///
    /// - Throws: the first misuse of an encoder or container, even if the value's own code caught it.
    func finish() throws -> [UInt8] {
        if let firstMisuse { throw firstMisuse }
        return stream.text.finish()
    }

    /// The container of the value that `encoder` is for: a new one, or the one its superclass began.
    func container(_ kind: JSONStream.Kind, for encoder: ValueEncoder) -> Int {
        if let id = stream.container(kind, at: encoder.depth) { return id }
        guard stream.text.count == encoder.start else {
            recordMisuse("a value was encoded twice")
            return JSONStream.noContainer
        }
        return stream.begin(kind)
    }

    /// Readies the array `id` for its next element.
    func enter(_ id: Int) throws {
        guard stream.enter(id) else { throw misuse("a container was written to after it had been closed") }
    }

    /// Readies the object `id` for the value of `key`.
    func enter(_ id: Int, key: some CodingKey) throws {
        guard stream.enter(id, key: key.stringValue) else {
            throw misuse("a container was written to after it had been closed")
        }
    }

    func write<Number: BinaryFloatingPoint & LosslessStringConvertible>(_ number: Number) throws {
        guard number.isFinite else {
            throw EncodingError.invalidValue(
                number, .init(codingPath: codingPath, debugDescription: "JSON has no number for \(number)"))
        }
        stream.text.append(verbatim: number.description)
    }

    /// Records a misuse by a call that cannot throw; ``finish()`` throws it.
    func recordMisuse(_ reason: String) {
        _ = misuse(reason)
    }

    /// The error for a misuse, recorded as well: the value's own code may catch it.
    func misuse(_ reason: String) -> EncodingError {
        let error = EncodingError.invalidValue(reason, .init(codingPath: codingPath, debugDescription: reason))
        firstMisuse = firstMisuse ?? error
        return error
    }
}

/// A text and the containers that stand open in it.
///
/// `Encodable` closes no container, so one is closed as soon as the value it belongs to has been encoded or a
/// container around it is written to again.
struct JSONStream {
    enum Kind { case array, object }

    private struct Container {
        let id: Int
        let kind: Kind
        var count = 0
    }

    /// The id no container has.
    static let noContainer = 0

    var text = JSONText()
    private var open: [Container] = []
    private var lastID = noContainer

    var depth: Int { open.count }

    /// The open container at `depth`, when there is one of this kind.
    func container(_ kind: Kind, at depth: Int) -> Int? {
        open.count > depth && open[depth].kind == kind ? open[depth].id : nil
    }

    mutating func begin(_ kind: Kind) -> Int {
        text.append(ascii: kind == .object ? "{" : "[")
        lastID += 1
        open.append(Container(id: lastID, kind: kind))
        return lastID
    }

    /// Closes what is open inside the container `id`, and writes the comma that its next element needs.
    ///
    /// - Returns: false when the container has been closed.
    mutating func enter(_ id: Int) -> Bool {
        if open.last?.id != id {
            guard let position = open.lastIndex(where: { $0.id == id }) else { return false }
            close(downTo: position + 1)
        }
        if open[open.count - 1].count > 0 { text.append(ascii: ",") }
        open[open.count - 1].count += 1
        return true
    }

    mutating func enter(_ id: Int, key: String) -> Bool {
        guard enter(id) else { return false }
        text.append(key)
        text.append(ascii: ":")
        return true
    }

    func count(of id: Int) -> Int {
        open.last { $0.id == id }?.count ?? 0
    }

    mutating func close(downTo depth: Int) {
        while open.count > depth { text.append(ascii: open.removeLast().kind == .object ? "}" : "]") }
    }
}
