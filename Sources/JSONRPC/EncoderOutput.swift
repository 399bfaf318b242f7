/// The text of one encoding, shared by its encoders and containers.
final class EncoderOutput {
    /// All that changes often is in one value: each access to a property of a class is checked for exclusivity.
    var stream = JSONStream()
    private(set) var codingPath: [any CodingKey] = []
    /// The first misuse of an encoder or container.
    private var mistake: EncodingError?

    func write(_ value: some Encodable) throws {
        let encoder = ValueEncoder(output: self)
        try value.encode(to: encoder)
        stream.close(downTo: encoder.depth)
        // A type without stored properties need not ask for a container.
        if stream.text.count == encoder.start { stream.text.append(verbatim: "{}") }
    }

    func write(_ value: some Encodable, at key: some CodingKey) throws {
        codingPath.append(key)
        defer { codingPath.removeLast() }
        try write(value)
    }

    /// The complete text.
    ///
    /// - Throws: the first misuse, whether or not the value's own code caught it.
    func finish() throws -> JSONText {
        if let mistake { throw mistake }
        return stream.text
    }

    /// The container of the value that `encoder` is for: a new one, or the one its superclass began.
    func container(_ kind: JSONStream.Kind, for encoder: ValueEncoder) -> Int {
        if let id = stream.container(kind, at: encoder.depth) { return id }
        guard stream.text.count == encoder.start else { return refuse("a value was encoded twice") }
        return stream.begin(kind)
    }

    /// Readies the array `id` for its next element.
    func enter(_ id: Int) throws {
        guard stream.enter(id) else { throw failure("a container was written to after it had been closed") }
    }

    /// Readies the object `id` for the value of `key`.
    func enter(_ id: Int, key: some CodingKey) throws {
        guard stream.enter(id, key: key.stringValue) else {
            throw failure("a container was written to after it had been closed")
        }
    }

    func write<Number: BinaryFloatingPoint & LosslessStringConvertible>(_ number: Number) throws {
        guard number.isFinite else {
            throw EncodingError.invalidValue(
                number, .init(codingPath: codingPath, debugDescription: "JSON has no number for \(number)"))
        }
        stream.text.append(verbatim: number.description)
    }

    /// Notes a mistake made in a call that cannot throw, for ``finish()`` to throw in its stead.
    ///
    /// - Returns: an id under which nothing can be written.
    func refuse(_ reason: String) -> Int {
        _ = failure(reason)
        return JSONStream.noContainer
    }

    /// The error for a mistake, noted as well: the value's own code may catch what is thrown to it.
    func failure(_ reason: String) -> EncodingError {
        let error = EncodingError.invalidValue(reason, .init(codingPath: codingPath, debugDescription: reason))
        mistake = mistake ?? error
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
        text.append(key: key)
        return true
    }

    func count(of id: Int) -> Int {
        open.last { $0.id == id }?.count ?? 0
    }

    mutating func close(downTo depth: Int) {
        while open.count > depth { text.append(ascii: open.removeLast().kind == .object ? "}" : "]") }
    }
}
