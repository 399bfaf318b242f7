internal import BypassAPI
internal import JSONRPC

extension Parameter {
    /// What the method table says of a parameter's value, beyond its type: nil if the value is in order, or of another
    /// type, about which the decoder complains.
    func complaint(about value: JSONValue) -> String? {
        switch value {
        case .string(let text) where !schema.values.isEmpty && !schema.values.contains(text):
            return "\(name): must be \(Self.alternatives(schema.values))"
        case .string(let text) where !allowedLength.contains(text.utf8.count):
            return "\(name): must be \(allowedLength.lowerBound) to \(allowedLength.upperBound) bytes long"
        case .number(let number):
            guard let minimum = schema.minimum, let given = Int(exactly: number), given < minimum else { return nil }
            return "\(name): must be \(minimum) or more"
        default:
            return nil
        }
    }

    private var allowedLength: ClosedRange<Int> { (schema.minLength ?? 0)...(schema.maxLength ?? .max) }

    private static func alternatives(_ values: [String]) -> String {
        let last = values.last ?? ""
        return values.count < 2 ? last : values.dropLast().joined(separator: ", ") + " or " + last
    }
}

extension Request {
    /// The parameters of a method, checked against the method table.
    func parameters<Method: RPCMethod>(of method: Method.Type) throws(ErrorObject) -> Method.Parameters {
        let bound = try (params ?? .positional([])).bind(to: Method.parameters.map(\.name))
        for parameter in Method.parameters {
            if let value = bound[parameter.name], let complaint = parameter.complaint(about: value) {
                throw .invalidParams.detailed(complaint)
            }
        }
        return try bound.parameters()
    }
}
