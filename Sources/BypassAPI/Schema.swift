/// The part of JSON Schema (draft 7, as OpenRPC uses it) that the contract needs.
public struct Schema: Sendable {
    public enum Kind: String, Codable, Sendable {
        case string, integer, boolean, object, array, null
    }

    public struct Property: Sendable {
        public var name: String
        public var schema: Schema
        /// Always there, though perhaps null.
        public var required: Bool

        public init(_ name: String, _ schema: Schema, required: Bool = true) {
            self.name = name
            self.schema = schema
            self.required = required
        }
    }

    public var description: String?
    public var kinds: [Kind] = []
    public var values: [String] = []
    public var minimum: Int?
    public var minLength: Int?
    public var maxLength: Int?
    public var properties: [Property] = []
    /// The schema of an array's elements: none or one (a struct cannot hold itself).
    public var items: [Schema] = []
    /// The name of a schema under `components`.
    public var reference: String?

    public static func string(_ description: String? = nil, length: ClosedRange<Int>? = nil) -> Schema {
        Schema(description: description, kinds: [.string], minLength: length?.lowerBound, maxLength: length?.upperBound)
    }

    public static func oneOf<Value: CaseIterable & RawRepresentable<String>>(
        _ values: Value.Type, _ description: String? = nil
    ) -> Schema {
        Schema(description: description, kinds: [.string], values: Value.allCases.map(\.rawValue))
    }

    public static func integer(_ description: String? = nil, minimum: Int? = nil) -> Schema {
        Schema(description: description, kinds: [.integer], minimum: minimum)
    }

    public static func boolean(_ description: String? = nil) -> Schema {
        Schema(description: description, kinds: [.boolean])
    }

    public static func object(_ description: String? = nil, _ properties: [Property] = []) -> Schema {
        Schema(description: description, kinds: [.object], properties: properties)
    }

    public static func array(of items: Schema, _ description: String? = nil) -> Schema {
        Schema(description: description, kinds: [.array], items: [items])
    }

    public static func component(_ name: String) -> Schema {
        Schema(reference: name)
    }

    /// The same, or null.
    public var orNull: Schema {
        var copy = self
        copy.kinds.append(.null)
        return copy
    }
}

extension Schema: Encodable {
    private enum Keyword: String, CodingKey {
        case reference = "$ref"
        case description, type, `enum`, minimum, minLength, maxLength, properties, required, items
    }

    struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(_ name: String) { stringValue = name }
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Keyword.self)
        if let reference { try container.encode("#/components/schemas/" + reference, forKey: .reference) }
        if let description { try container.encode(description, forKey: .description) }
        if kinds.count == 1 { try container.encode(kinds[0], forKey: .type) }
        if kinds.count > 1 { try container.encode(kinds, forKey: .type) }
        if !values.isEmpty { try container.encode(values + (kinds.contains(.null) ? [nil] : []), forKey: .enum) }
        if let minimum { try container.encode(minimum, forKey: .minimum) }
        if let minLength { try container.encode(minLength, forKey: .minLength) }
        if let maxLength { try container.encode(maxLength, forKey: .maxLength) }
        if !properties.isEmpty {
            var named = container.nestedContainer(keyedBy: Name.self, forKey: .properties)
            for property in properties { try named.encode(property.schema, forKey: Name(property.name)) }
            try container.encode(properties.filter(\.required).map(\.name), forKey: .required)
        }
        if let items = items.first { try container.encode(items, forKey: .items) }
    }
}
