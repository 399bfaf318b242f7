/// Finds the numbers of the users and groups that a policy file names.
public struct AccountLookup: Sendable {
    /// nil if there is none of that name; throws if that cannot be found out now.
    var uid: @Sendable (_ name: String) throws -> UInt32?
    var gid: @Sendable (_ name: String) throws -> UInt32?

    public init(
        uid: @escaping @Sendable (_ name: String) throws -> UInt32?,
        gid: @escaping @Sendable (_ name: String) throws -> UInt32?
    ) {
        self.uid = uid
        self.gid = gid
    }
}
