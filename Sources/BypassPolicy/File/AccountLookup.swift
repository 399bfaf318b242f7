internal import Bypass
internal import Linux

/// A user or a group, by its name.
package enum AccountName: Hashable, Sendable {
    case user(String)
    case group(String)
}

extension AccountName: CustomStringConvertible {
    package var description: String {
        switch self {
        case .user(let name): "user \(name.printable)"
        case .group(let name): "group \(name.printable)"
        }
    }
}

/// Finds the numbers of the users and groups that a policy file names.
package struct AccountLookup: Sendable {
    /// nil if there is none of that name; throws if that cannot be found out now.
    private let find: @Sendable (AccountName) throws -> UInt32?

    package init(_ find: @escaping @Sendable (AccountName) throws -> UInt32?) {
        self.find = find
    }

    package init(
        uid: @escaping @Sendable (_ name: String) throws -> UInt32?,
        gid: @escaping @Sendable (_ name: String) throws -> UInt32?
    ) {
        self.init { name in
            switch name {
            case .user(let name): try uid(name)
            case .group(let name): try gid(name)
            }
        }
    }

    package func id(of name: AccountName) throws -> UInt32? { try find(name) }
}

extension AccountLookup {
    /// In all sources of accounts that this machine has: some may never answer.
    package static var ofThisMachine: AccountLookup {
        AccountLookup(uid: { try UserDatabase.user(named: $0)?.uid }, gid: { try UserDatabase.group(named: $0) })
    }

    /// In the files of this machine alone.
    package static var ofLocalFiles: AccountLookup {
        AccountLookup(
            uid: { try UserDatabase.localID(named: $0, in: "/etc/passwd") },
            gid: { try UserDatabase.localID(named: $0, in: "/etc/group") })
    }
}
