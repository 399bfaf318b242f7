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

    /// The values in the order of the method's parameters: nil for one that is not given, and nothing for those after
    /// the last one given by position.
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
            return values.map { $0 }
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

    private static func known(_ names: [String]) -> String {
        names.isEmpty ? "the method takes none" : "the method takes \(names.joined(separator: ", "))"
    }
}
