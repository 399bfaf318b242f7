internal import BypassAPI
internal import JSONRPC
internal import StrictJSON

/// The answer to one line, and what is promised of it.
struct Answer {
    private let line: [UInt8]?
    /// The ids that are to be answered, in their order.
    private let ids: [RequestID]

    init(to incoming: Incoming) throws(BrokenPromise) {
        var writer = ResponseWriter(answering: incoming)
        var ids: [RequestID] = []
        for entry in incoming.entries {
            switch entry {
            case .rejection(let rejection):
                writer.write(error: rejection.error ?? .invalidRequest, id: rejection.id)
                ids.append(rejection.id)
            case .request(let request):
                let outcome = try Binding.outcome(of: request)
                guard let id = request.id else { continue }
                outcome.write(to: &writer, id: id)
                ids.append(id)
            }
        }
        self.ids = ids
        line = writer.finish()
    }

    /// One line of JSON that does nothing to a terminal, with the ids that came, as they came.
    func checkLine(for incoming: Incoming) throws(BrokenPromise) {
        guard let line else { return try promise(ids.isEmpty, "no answer to \(ids)") }
        let text = String(decoding: line, as: UTF8.self)
        try promise(text.last == "\n", "no LF at the end of \(text)")
        try promise(!text.unicodeScalars.dropLast().contains(where: \.isControl), "a control character in \(text)")
        let value: JSONValue
        do {
            value = try JSONReader.read(line)
        } catch {
            throw BrokenPromise(description: "\(error): \(text)")
        }
        let answers: [JSONValue]
        switch incoming {
        case .batch: answers = value.array ?? []
        case .single: answers = [value]
        }
        try promise(answers.count == ids.count, "\(answers.count) answers to \(ids)")
        for (answer, id) in zip(answers, ids) {
            do {
                let response = try Response(answer)
                try promise(response.id.hasSameBytes(as: id), "\(response.id) answers \(id)")
            } catch {
                throw BrokenPromise(description: "\(error): \(text)")
            }
        }
    }

    /// A number comes back with the digits that it came with.
    func checkNumbers(in line: [UInt8]) throws(BrokenPromise) {
        for case .number(let number) in ids {
            let digits = Array(number.text.utf8)
            let isThere = line.indices.contains { line[$0] == digits[0] && line[$0...].starts(with: digits) }
            try promise(isThere, "nobody has sent the number \(number.text)")
        }
    }
}

extension Incoming {
    fileprivate var entries: [Entry] {
        switch self {
        case .single(let entry): [entry]
        case .batch(let entries): entries
        }
    }
}

extension RequestID {
    /// Stricter than `==`, to which the two spellings of "é" are one.
    fileprivate func hasSameBytes(as other: RequestID) -> Bool {
        switch (self, other) {
        case (.null, .null): true
        case (.string(let text), .string(let other)): Array(text.utf8) == Array(other.utf8)
        case (.number(let number), .number(let other)): Array(number.text.utf8) == Array(other.text.utf8)
        default: false
        }
    }
}

extension Unicode.Scalar {
    var isControl: Bool {
        if isASCII { return value < 0x20 || value == 0x7f }
        return switch properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }
}
