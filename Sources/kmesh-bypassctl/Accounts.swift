internal import Console
internal import Linux

/// The users of this machine, for people.
struct Accounts: Sendable {
    /// The name of an account; nil if it has none here.
    var name: @Sendable (UInt32) -> String?

    static let ofThisMachine = Accounts { uid in
        guard let user = try? UserDatabase.user(numbered: uid) else { return nil }
        return user.name
    }

    /// `alice (uid 1000)`, or the number alone.
    func description(of uid: UInt32) -> String { name(uid).map { "\($0) (uid \(uid))" } ?? "uid \(uid)" }

    /// The account that has logged in: behind sudo that is not the one that the process runs as.
    static var login: String? {
        (Console.environment("SUDO_USER") ?? ofThisMachine.name(Console.userID))?.fitting(bytes: Attribution.maxBytes)
    }
}
