public import StrictJSON

/// The part of JSON Schema (draft 7, as OpenRPC uses it) that the contract needs.
public struct Schema: Sendable {
    public enum Kind: String, JSONWritable, Sendable {
        case string, integer, boolean, object, array, null
    }

    public struct Property: Sendable {
        public var name: String
        public var schema: Schema
        /// Always present, but may be null.
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

extension Schema: JSONWritableObject {
    /// Writes only the keywords that this schema has.
    public func writeMembers(to text: inout JSONText) {
        if let reference { text.member("$ref", "#/components/schemas/" + reference) }
        if let description { text.member("description", description) }
        if kinds.count == 1 { text.member("type", kinds[0]) }
        if kinds.count > 1 { text.member("type", kinds) }
        if !values.isEmpty { text.member("enum", values + (kinds.contains(.null) ? [nil] : [])) }
        if let minimum { text.member("minimum", minimum) }
        if let minLength { text.member("minLength", minLength) }
        if let maxLength { text.member("maxLength", maxLength) }
        if !properties.isEmpty {
            text.member("properties") { text in
                for property in properties {
                    text.append(key: property.name)
                    text.append(property.schema)
                }
            }
            text.member("required", properties.filter(\.required).map(\.name))
        }
        if let items = items.first { text.member("items", items) }
    }
}
