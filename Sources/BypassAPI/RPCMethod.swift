/// One method of the daemon: what it is called, what it takes and gives, and who may call it.
///
/// The single description from which the router checks parameters, the client makes requests and the OpenRPC document
/// is written.
public protocol RPCMethod: Sendable {
    associatedtype Parameters: Codable & Sendable
    associatedtype Result: Codable & Sendable

    static var name: String { get }
    /// One line for a list of methods.
    static var summary: String { get }
    /// Markdown: everything that a caller has to know.
    static var description: String { get }
    static var permission: Permission { get }
    /// In the order in which they are given by position.
    static var parameters: [Parameter] { get }
    static var result: Schema { get }
    /// Besides the standard ones.
    static var errors: [ErrorCode] { get }
}

/// What a caller has to be allowed to do. A permission includes those before it.
public enum Permission: String, Codable, Hashable, Sendable, Comparable, CaseIterable {
    /// Look at bypasses.
    case read
    /// Turn bypasses on and off.
    case bypass
    /// All that the daemon does.
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
    public var schema: Schema

    public init(_ name: String, _ summary: String, required: Bool = false, _ schema: Schema) {
        self.name = name
        self.summary = summary
        self.required = required
        self.schema = schema
    }
}

/// Parameters of a method that takes none.
public struct NoParameters: Codable, Hashable, Sendable {
    public init() {}
}
