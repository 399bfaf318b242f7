internal import Bypass
internal import BypassPolicy
internal import Linux

extension PolicyExplain {
    /// Whom it is about.
    struct Person {
        var caller: Caller
        /// As people know the user.
        var description: String

        init(caller: Caller, description: String) {
            self.caller = caller
            self.description = description
        }

        init(_ written: String) throws(PolicySource.Failure) {
            do {
                if let user = try UserDatabase.user(named: written)
                    ?? UInt32(written).flatMap({ try UserDatabase.user(numbered: $0) })
                {
                    let groups = UserDatabase.groups(of: user)
                    let names = try groups.map { try UserDatabase.groupName(numbered: $0) ?? "\($0)" }
                    caller = Caller(uid: user.uid, gid: user.gid, groups: groups)
                    description = "\(user.name) (uid \(user.uid)), in groups \(names.joined(separator: ", "))"
                    return
                }
            } catch {
                throw PolicySource.Failure(lines: ["the user \(written) cannot be looked up now: \(error)"])
            }
            guard let uid = UInt32(written), uid != .max else {
                throw PolicySource.Failure(lines: ["no user is named \(written.quoted)"])
            }
            // The highest number is nobody's.
            caller = Caller(uid: uid, gid: .max)
            description = "uid \(uid), whom this machine does not know: in no group"
        }
    }
}
