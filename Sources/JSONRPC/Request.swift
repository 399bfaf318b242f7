public import StrictJSON

/// A call of a method.
public struct Request: Sendable, Hashable {
    /// nil makes it a notification, which is never answered. A request with a null id is answered.
    public let id: RequestID?
    public let method: String
    public let params: Params?

    public init(id: RequestID?, method: String, params: Params? = nil) {
        self.id = id
        self.method = method
        self.params = params
    }

    public var isNotification: Bool { id == nil }
}

/// The parameters of a request, as the client chose to give them.
public enum Params: Sendable, Hashable {
    case positional([JSONValue])
    case named(JSONObject)

    /// Gives the values in the order of the method's parameters, nil for one that was not given; parameters after the
    /// last one given by position may be left out of the array.
    ///
    /// - Parameter names: All parameters of the method, in order of position.
    /// - Throws: ``ErrorObject/invalidParams`` with a sentence about too many or unknown parameters.
    public func values(for names: [String]) throws(ErrorObject) -> [JSONValue?] {
        switch self {
        case .positional(let values):
            guard values.count <= names.count else {
                let given = values.count == 1 ? "1 parameter" : "\(values.count) parameters"
                throw .invalidParams.detailed("\(given) given, \(Self.known(names))")
            }
            return values
        case .named(let object):
            var values = [JSONValue?](repeating: nil, count: names.count)
            for member in object.members {
                guard let position = names.firstIndex(where: { hasSameBytes($0, member.key) }) else {
                    throw .invalidParams.detailed("unknown parameter \(quoted(member.key)), \(Self.known(names))")
                }
                values[position] = member.value
            }
            return values
        }
    }

    /// Gives each parameter its name. A parameter that was not given has no member.
    ///
    /// - Throws: As ``values(for:)``.
    public func bind(to names: [String]) throws(ErrorObject) -> JSONObject {
        let values = try values(for: names)
        return JSONObject(uniqueMembers: zip(names, values).compactMap { name, value in value.map { (name, $0) } })
    }

    private static func known(_ names: [String]) -> String {
        names.isEmpty ? "the method takes none" : "the method takes \(names.joined(separator: ", "))"
    }
}

extension Request {
    /// The parameters as a `Value`, whose members they become by name or by position.
    ///
    /// - Parameter names: All parameters of the method, in order of position.
    /// - Throws: ``ErrorObject/invalidParams`` with a sentence about the first parameter that does not fit.
    public func parameters<Value: Decodable>(
        _ type: Value.Type = Value.self, named names: [String]
    ) throws(ErrorObject) -> Value {
        try (params ?? .positional([])).bind(to: names).parameters()
    }
}

extension JSONObject {
    /// Bound parameters as a `Value`, whose members they are.
    ///
    /// - Throws: ``ErrorObject/invalidParams`` with a sentence about the first parameter that does not fit.
    public func parameters<Value: Decodable>(_ type: Value.Type = Value.self) throws(ErrorObject) -> Value {
        do {
            return try JSONDecoding.decode(type, from: .object(self))
        } catch {
            throw .invalidParams.detailed(error.description)
        }
    }
}
