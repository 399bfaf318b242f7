public import JSONRPC
public import StrictJSON

/// The parameters of one method, which read themselves from a request.
public protocol RPCParameters: Codable, Sendable {
    /// Reads every parameter of the method, in the order of the method table.
    init(from bound: inout BoundParameters) throws(ErrorObject)
}

extension Request {
    /// The parameters of a method, checked against the method table.
    ///
    /// - Throws: ``ErrorObject/invalidParams`` with a sentence about the first parameter that does not fit.
    public func parameters<Method: RPCMethod>(of method: Method.Type) throws(ErrorObject) -> Method.Parameters {
        var bound = try BoundParameters(params, to: Method.parameters)
        return try Method.Parameters(from: &bound)
    }
}

/// The parameters of a request in the order of the method table, which their values do not violate.
public struct BoundParameters {
    private let table: ParameterTable
    private let values: [JSONValue?]
    private var position = 0

    init(_ params: Params?, to table: ParameterTable) throws(ErrorObject) {
        self.table = table
        self.values = try params?.values(for: table.names) ?? []
        for position in values.indices {
            guard let value = values[position], let violation = table.constraints[position].violation(of: value) else {
                continue
            }
            throw .invalidParams.detailed(violation)
        }
    }

    /// The next parameter of the method.
    ///
    /// - Parameter name: Its name in the method table.
    public mutating func required<Value: ParameterValue>(_ name: String) throws(ErrorObject) -> Value {
        guard let value = next(name) else { throw .invalidParams.detailed("\(name): is required") }
        return try read(value, name)
    }

    /// The next parameter of the method; nil if it is null or not given.
    public mutating func optional<Value: ParameterValue>(_ name: String) throws(ErrorObject) -> Value? {
        guard let value = next(name), value != .null else { return nil }
        return try read(value, name)
    }

    private mutating func next(_ name: String) -> JSONValue? {
        assert(table.names[position] == name, "parameters are read in the order of the method table")
        defer { position += 1 }
        return position < values.count ? values[position] : nil
    }

    private func read<Value: ParameterValue>(_ value: JSONValue, _ name: String) throws(ErrorObject) -> Value {
        if let value = Value(parameter: value) { return value }
        if let limit = Value.exceededLimit(by: value) { throw ErrorObject(limit, Limits()) }
        do throws(JSONDecodingError) {
            return try JSONDecoding.decode(Value.self, from: value)
        } catch {
            throw .invalidParams.detailed("\(name)\(error.path): \(error.reason)")
        }
    }
}

/// A type that parameters have.
public protocol ParameterValue: Decodable {
    /// nil if the value does not fit: decoding it gives the reason.
    init?(parameter: JSONValue)

    /// The limit that a value exceeds; nil if it exceeds none.
    static func exceededLimit(by parameter: JSONValue) -> Limits.Name?
}

extension ParameterValue {
    public static func exceededLimit(by parameter: JSONValue) -> Limits.Name? { nil }
}

extension String: ParameterValue {
    public init?(parameter: JSONValue) {
        guard case .string(let text) = parameter else { return nil }
        self = text
    }
}

extension Int: ParameterValue {
    public init?(parameter: JSONValue) {
        guard case .number(let number) = parameter else { return nil }
        self.init(exactly: number)
    }
}

extension Bool: ParameterValue {
    public init?(parameter: JSONValue) {
        guard case .bool(let flag) = parameter else { return nil }
        self = flag
    }
}

extension Array: ParameterValue where Element == String {
    public init?(parameter: JSONValue) {
        guard case .array(let elements) = parameter else { return nil }
        self = elements.compactMap(\.string)
        guard count == elements.count else { return nil }
    }
}

extension ParameterValue where Self: RawRepresentable<String> {
    public init?(parameter: JSONValue) {
        guard case .string(let text) = parameter else { return nil }
        self.init(rawValue: text)
    }
}

extension Parameter {
    /// How a value violates the method table, apart from its type, which the parameters check when they read it. nil if
    /// it does not.
    public func violation(of value: JSONValue) -> String? {
        Constraint(self).violation(of: value)
    }

    /// The part of a parameter that restricts its values: small, because it is needed for every request.
    struct Constraint: Sendable {
        let name: String
        let values: [String]
        let length: ClosedRange<Int>
        let range: ClosedRange<Int>

        init(_ parameter: Parameter) {
            let schema = parameter.schema.resolved
            name = parameter.name
            values = schema.values
            length = (schema.minLength ?? 0)...(schema.maxBytes ?? .max)
            range = (schema.minimum ?? .min)...(schema.maximum ?? .max)
        }

        func violation(of value: JSONValue) -> String? {
            switch value {
            case .string(let text) where !values.isEmpty && !values.contains(text):
                return "\(name): must be \(alternatives)"
            case .string(let text) where !length.contains(text.utf8.count):
                return "\(name): must be \(length.lowerBound) to \(length.upperBound) bytes long"
            case .number(let number):
                guard let given = Int(exactly: number), !range.contains(given) else { return nil }
                return "\(name): must be \(given < range.lowerBound ? "\(range.lowerBound) or more" : most)"
            default:
                return nil
            }
        }

        /// The longest ttl is more than a number says.
        private var most: String {
            let years = range.upperBound == TimeToLive.maxSeconds ? " (100 years)" : ""
            return "\(range.upperBound)\(years) or less"
        }

        private var alternatives: String {
            let last = values.last ?? ""
            return values.count < 2 ? last : values.dropLast().joined(separator: ", ") + " or " + last
        }
    }
}
