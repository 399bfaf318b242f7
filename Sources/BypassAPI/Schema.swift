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

    /// A schema under `components`, from which generators make a type of that name.
    public struct Component: Sendable {
        public var name: String
        public var schema: Schema
    }

    public var description: String?
    public var kind: Kind?
    public var values: [String] = []
    public var minimum: Int?
    public var maximum: Int?
    public var minLength: Int?
    /// In bytes of UTF-8. JSON Schema counts characters, which are never more.
    public var maxBytes: Int?
    /// A regular expression of ECMA 262.
    public var pattern: String?
    public var format: String?
    public var examples: [String] = []
    public var properties: [Property] = []
    /// The schema of an array's elements: none or one (a struct cannot hold itself).
    public var items: [Schema] = []
    public var count: ClosedRange<Int>?
    /// One of these at least.
    public var alternatives: [Schema] = []
    /// Not this one: none or one.
    public var excluded: [Schema] = []
    /// The component that this refers to: none or one.
    public var component: [Component] = []
    /// Whether leaving it out is the same as null.
    public var isNullByDefault = false

    /// The schema itself, if this is a reference to it.
    public var resolved: Schema { component.first?.schema ?? self }

    public static func string(
        _ description: String? = nil, length: ClosedRange<Int>? = nil, pattern: String? = nil, format: String? = nil,
        values: [String] = [], examples: [String] = []
    ) -> Schema {
        Schema(
            description: description, kind: .string, values: values, minLength: length?.lowerBound,
            maxBytes: length?.upperBound,
            pattern: pattern, format: format, examples: examples)
    }

    /// A reference to the enumeration.
    ///
    /// - Parameter name: if not the type's.
    public static func oneOf<Value: CaseIterable & RawRepresentable<String>>(
        _ values: Value.Type, _ description: String? = nil, named name: String? = nil
    ) -> Schema {
        component(
            name ?? String(describing: Value.self),
            Schema(kind: .string, values: Value.allCases.map(\.rawValue)), description)
    }

    /// Negative numbers are allowed only if `minimum` says so.
    public static func integer(_ description: String? = nil, minimum: Int = 0, maximum: Int = .max) -> Schema {
        Schema(description: description, kind: .integer, minimum: minimum, maximum: maximum, format: "int64")
    }

    public static func boolean(_ description: String? = nil) -> Schema {
        Schema(description: description, kind: .boolean)
    }

    public static func object(_ description: String? = nil, _ properties: [Property] = []) -> Schema {
        Schema(description: description, kind: .object, properties: properties)
    }

    public static func array(
        of items: Schema, _ description: String? = nil, count: ClosedRange<Int>? = nil
    ) -> Schema {
        Schema(description: description, kind: .array, items: [items], count: count)
    }

    /// One of several schemas.
    public static func any(of alternatives: [Schema], _ description: String? = nil) -> Schema {
        Schema(description: description, alternatives: alternatives)
    }

    public static let null = Schema(kind: .null)

    /// A reference to a schema under `components`.
    public static func component(_ name: String, _ schema: Schema, _ description: String? = nil) -> Schema {
        Schema(description: description, component: [Component(name: name, schema: schema)])
    }

    /// The same, or null.
    public var orNull: Schema {
        var inner = self
        inner.description = nil
        var either = Schema.any(of: [inner, .null], description)
        // Said here too, since generators look for types of elements no deeper. It holds for arrays only.
        either.items = items
        return either
    }

    /// The same, or null, which is the same as leaving it out.
    public var orLeftOut: Schema {
        var copy = orNull
        copy.isNullByDefault = true
        return copy
    }

    /// The components that this schema refers to, those of their schemas included.
    package var components: [Component] {
        let inner = properties.map(\.schema) + items + alternatives
        return inner.flatMap(\.components) + component.flatMap { $0.schema.components + [$0] }
    }
}

extension Schema: JSONWritableObject {
    /// Writes only the keywords that this schema has.
    public func writeMembers(to text: inout JSONText) {
        if let description { text.member("description", description) }
        if let component = component.first { text.member("$ref", "#/components/schemas/" + component.name) }
        if let kind { text.member("type", kind) }
        if let format { text.member("format", format) }
        if !values.isEmpty { text.member("enum", values) }
        if let minimum { text.member("minimum", minimum) }
        if let maximum { text.member("maximum", maximum) }
        if let minLength { text.member("minLength", minLength) }
        if let maxBytes {
            text.member("maxLength", maxBytes)
            text.member("x-maxBytes", maxBytes)
        }
        if let pattern { text.member("pattern", pattern) }
        if !examples.isEmpty { text.member("examples", examples) }
        if !properties.isEmpty {
            text.member("properties") { text in
                for property in properties {
                    text.append(key: property.name)
                    text.append(property.schema)
                }
            }
            let required = properties.filter(\.required).map(\.name)
            if !required.isEmpty { text.member("required", required) }
        }
        if let items = items.first { text.member("items", items) }
        if let count {
            if count.lowerBound > 0 { text.member("minItems", count.lowerBound) }
            if count.upperBound < .max { text.member("maxItems", count.upperBound) }
        }
        if let excluded = excluded.first { text.member("not", excluded) }
        if kind == nil, !alternatives.isEmpty { text.member("anyOf", alternatives) }
        // Several forms of one type: generators make a union of `anyOf` itself.
        if kind != nil, !alternatives.isEmpty { text.member("allOf", [Schema.any(of: alternatives)]) }
        if isNullByDefault { text.member("default", String?.none) }
    }
}
