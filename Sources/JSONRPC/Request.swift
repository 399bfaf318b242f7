/// A call of a method.
public struct Request: Sendable, Hashable {
    /// nil makes it a notification, which is never answered. A null id is an id and is.
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

    /// Gives each parameter its name. A parameter that was not given has no member.
    ///
    /// - Parameter names: All parameters of the method, in order of position.
    /// - Throws: ``ErrorObject/invalidParams`` with a sentence about parameters too many or not known.
    public func bind(to names: [String]) throws(ErrorObject) -> JSONObject {
        switch self {
        case .positional(let values):
            guard values.count <= names.count else {
                let given = values.count == 1 ? "1 parameter" : "\(values.count) parameters"
                throw .invalidParams.detailed("\(given) given, \(Self.known(names))")
            }
            return JSONObject(uniqueMembers: Array(zip(names, values)))
        case .named(let object):
            for member in object.members where !names.contains(where: { hasSameBytes($0, member.key) }) {
                throw .invalidParams.detailed("unknown parameter \(quoted(member.key)), \(Self.known(names))")
            }
            return object
        }
    }

    private static func known(_ names: [String]) -> String {
        names.isEmpty ? "the method takes none" : "the method takes \(names.joined(separator: ", "))"
    }
}

extension Request {
    /// The parameters as a `Value`, whose members they become by name or by position.
    ///
    /// - Parameter names: All parameters of the method, in order of position.
    /// - Throws: ``ErrorObject/invalidParams`` with a sentence about the first parameter that does not fit. Nothing
    ///   has been done then.
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
