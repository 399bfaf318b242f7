import StrictJSON

/// Holds a value to a schema of the OpenRPC document, as far as the document uses JSON Schema.
struct SchemaCheck {
    let document: JSONValue
    private(set) var complaints: [String] = []

    init(document: JSONValue) {
        self.document = document
    }

    mutating func check(_ value: JSONValue, _ schema: JSONValue?, at path: String = "") {
        guard let schema = schema?.object else { return complain("no schema", path) }
        if let reference = schema["$ref"]?.string {
            return check(value, resolve(reference), at: path)
        }
        if schema["type"] == nil, let alternatives = schema["anyOf"]?.array {
            return check(value, either: alternatives, at: path)
        }
        let kinds = schema["type"]?.array?.compactMap(\.string) ?? schema["type"]?.string.map { [$0] } ?? []
        if !kinds.contains(Self.kind(of: value)) { complain("is \(Self.kind(of: value)), not \(kinds)", path) }
        if case .number(let number) = value, let integer = Int(exactly: number) {
            func bound(_ key: String) -> Int? {
                if case .number(let bound) = schema[key] { Int(exactly: bound) } else { nil }
            }
            guard let least = bound("minimum"), let most = bound("maximum"), schema["format"] == "int64" else {
                return complain("is an integer without bounds", path)
            }
            if integer < least || integer > most { complain("is not from \(least) to \(most)", path) }
        }
        if let values = schema["enum"]?.array, !values.contains(value) { complain("is none of \(values)", path) }
        if let properties = schema["properties"], case .object(let object) = value {
            // Both ways: what is required is there, what is there is declared, in the same order.
            let required = Set(schema["required"]?.array?.compactMap(\.string) ?? [])
            let expected = keys(properties)?.filter { required.contains($0) || object[$0] != nil }
            if keys(value) != expected { complain("has \(keys(value) ?? []), not its properties", path) }
            for member in object.members {
                check(member.value, properties.object?[member.key], at: path + "." + member.key)
            }
        }
        if case .array(let elements) = value {
            for element in elements { check(element, schema["items"], at: path + "[]") }
        }
    }

    private mutating func check(_ value: JSONValue, either alternatives: [JSONValue], at path: String) {
        let checks = alternatives.map { alternative in
            var check = SchemaCheck(document: document)
            check.check(value, alternative, at: path)
            return check.complaints
        }
        if !checks.contains([]) { complaints += checks.flatMap(\.self) }
    }

    func resolve(_ reference: String) -> JSONValue? {
        reference.split(separator: "/").dropFirst().reduce(document) { $0?.object?[String($1)] }
    }

    private mutating func complain(_ what: String, _ path: String) {
        complaints.append("\(path.isEmpty ? "the value" : path) \(what)")
    }

    private static func kind(of value: JSONValue) -> String {
        switch value {
        case .null: "null"
        case .bool: "boolean"
        case .number(let number): number.isInteger ? "integer" : "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }
}
