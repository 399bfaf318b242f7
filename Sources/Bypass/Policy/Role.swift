/// What a grant lets somebody do. A role includes those before it.
public enum Role: String, Hashable, Sendable, Comparable, CaseIterable {
    /// Look at bypasses.
    case read
    /// Turn bypasses on and off.
    case bypass
    /// All that the daemon does.
    case admin

    public static func < (a: Role, b: Role) -> Bool { a.rank < b.rank }

    private var rank: Int {
        switch self {
        case .read: 0
        case .bypass: 1
        case .admin: 2
        }
    }
}
