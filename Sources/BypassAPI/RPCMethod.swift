public import JSONRPC
public import StrictJSON

/// One method of the daemon: its name, parameters, result and permission.
///
/// This is the single description from which the daemon checks parameters, the client makes requests and the OpenRPC
/// document is written.
public protocol RPCMethod: Sendable {
    associatedtype Parameters: RPCParameters
    associatedtype Result: Codable & JSONWritable & Sendable

    static var name: String { get }
    /// One line for a list of methods.
    static var summary: String { get }
    /// Markdown: everything a caller must know.
    static var description: String { get }
    static var permission: Permission { get }
    /// In the order in which they are given by position.
    static var parameters: ParameterTable { get }
    static var result: Schema { get }
    /// Besides the standard ones, and only those that can happen.
    static var errors: [ErrorCode] { get }
    /// nil of the method whose result is the document itself.
    static var example: (parameters: Parameters, result: Result)? { get }
    /// The allowed combinations of parameters: the object of all parameters fits each of these, besides their own schemas.
    static var combinations: [Schema] { get }
    /// The notifications that follow the result on the connection.
    static var notifications: [RPCNotification] { get }
}

extension RPCMethod {
    public static var example: (parameters: Parameters, result: Result)? { nil }
    public static var combinations: [Schema] { [] }
    public static var notifications: [RPCNotification] { [] }
}

/// A notification of the daemon's. Its parameters go by name.
public struct RPCNotification: Sendable {
    public var name: String
    public var summary: String
    /// Of the object of all parameters: a component, from which generators make a type.
    public var schema: Schema

    public var parameters: [Schema.Property] { schema.resolved.properties }
}

/// The role that a caller needs; each includes the ones before it.
public enum Permission: String, Codable, Hashable, Sendable, Comparable, CaseIterable {
    /// Read the status of bypasses.
    case read
    /// Turn bypasses on and off.
    case bypass
    /// Call every method.
    case admin

    public static func < (a: Permission, b: Permission) -> Bool { a.rank < b.rank }

    private var rank: Int {
        switch self {
        case .read: 0
        case .bypass: 1
        case .admin: 2
        }
    }
}

/// A parameter as OpenRPC describes it (its Content Descriptor Object).
public struct Parameter: Sendable {
    public var name: String
    public var summary: String
    public var required: Bool
    /// Of a value. One that is not required may also be null.
    public var schema: Schema

    public init(_ name: String, _ summary: String, required: Bool = false, _ schema: Schema) {
        self.name = name
        self.summary = summary
        self.required = required
        self.schema = schema
    }
}

/// The parameters of a method, in the order in which they are given by position.
public struct ParameterTable: RandomAccessCollection, ExpressibleByArrayLiteral, Sendable {
    private let parameters: [Parameter]
    let constraints: [Parameter.Constraint]
    public let names: [String]

    public init(arrayLiteral parameters: Parameter...) {
        self.parameters = parameters
        self.constraints = parameters.map(Parameter.Constraint.init)
        self.names = parameters.map(\.name)
    }

    public var startIndex: Int { 0 }
    public var endIndex: Int { parameters.count }
    public subscript(position: Int) -> Parameter { parameters[position] }
}

/// Parameters of a method that takes none.
public struct NoParameters: RPCParameters, Hashable {
    public init() {}

    public init(from bound: inout BoundParameters) throws(ErrorObject) {}
}
