internal import Glibc
package import SystemPackage

/// The reason that users and groups cannot be looked up now: a source of them (nsswitch.conf(5)) does not answer.
package struct UserDatabaseError: Error, Hashable, Sendable, CustomStringConvertible {
    package var errno: Errno

    package var description: String { "\(errno)" }
}

/// The users and groups that this machine knows, from all sources of nsswitch.conf(5). A source may be slow: not to be
/// asked where others wait.
package enum UserDatabase {
    /// A user's number, and its primary group.
    package struct User: Hashable, Sendable {
        package var uid: UInt32
        package var gid: UInt32
        package var name: String
    }

    /// nil if there is no user of that name.
    package static func user(named name: String) throws(UserDatabaseError) -> User? {
        // C would take what follows a null byte for another name.
        guard !name.utf8.contains(0) else { return nil }
        return try unsafe find(user, "user \(name)") { unsafe getpwnam_r(name, $0, $1, $2, $3) }
    }

    /// nil if no user has that number.
    package static func user(numbered uid: UInt32) throws(UserDatabaseError) -> User? {
        try unsafe find(user, "user \(uid)") { unsafe getpwuid_r(uid, $0, $1, $2, $3) }
    }

    /// nil if there is no group of that name.
    package static func group(named name: String) throws(UserDatabaseError) -> UInt32? {
        guard !name.utf8.contains(0) else { return nil }
        return try unsafe find(\.gr_gid, "group \(name)") { unsafe getgrnam_r(name, $0, $1, $2, $3) }
    }

    /// The number of a user or a group in a file like /etc/passwd and /etc/group, which no server is asked for; nil if the
    /// name is not in it.
    package static func localID(named name: String, in path: String) throws(SystemCallError) -> UInt32? {
        for line in try Files.read(path).split(separator: UInt8(ascii: "\n")) {
            let fields = line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
            guard fields.count > 2, fields[0].elementsEqual(name.utf8) else { continue }
            return UInt32(String(decoding: fields[2], as: UTF8.self))
        }
        return nil
    }

    /// The names of the users or groups in a file like /etc/passwd and /etc/group, by number: of several with one number the
    /// first.
    package static func localNames(in path: String) throws(SystemCallError) -> [UInt32: String] {
        var names: [UInt32: String] = [:]
        for line in try Files.read(path).split(separator: UInt8(ascii: "\n")) {
            let fields = line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
            guard fields.count > 2, let number = UInt32(String(decoding: fields[2], as: UTF8.self)) else { continue }
            names[number] = names[number] ?? String(decoding: fields[0], as: UTF8.self)
        }
        return names
    }

    /// nil if no group has that number.
    package static func groupName(numbered gid: UInt32) throws(UserDatabaseError) -> String? {
        try unsafe find(groupName, "group \(gid)") { unsafe getgrgid_r(gid, $0, $1, $2, $3) }
    }

    /// The groups that a user gets when logging in, the primary one among them.
    package static func groups(of user: User) -> [UInt32] {
        var groups = [gid_t](repeating: 0, count: 64)
        while true {
            var count = CInt(groups.count)
            if unsafe getgrouplist(user.name, user.gid, &groups, &count) != -1 {
                return Array(groups.prefix(Int(count)))
            }
            // Linux allows a process 65536 groups.
            guard count > groups.count, count <= 1 << 17 else { return [user.gid] }
            groups = [gid_t](repeating: 0, count: Int(count))
        }
    }

    private static func user(_ entry: passwd) -> User {
        unsafe User(uid: entry.pw_uid, gid: entry.pw_gid, name: String(cString: entry.pw_name))
    }

    private static func groupName(_ entry: group) -> String {
        unsafe String(cString: entry.gr_name)
    }

    /// Asks with a buffer that grows until the entry fits.
    ///
    /// - Parameter subject: what is looked up, by which a test has that fail, or stay without an answer.
    private static func find<Entry: BitwiseCopyable, Result>(
        _ result: (Entry) -> Result, _ subject: @autoclosure () -> String,
        _ ask: (
            UnsafeMutablePointer<Entry>, UnsafeMutablePointer<CChar>, Int,
            UnsafeMutablePointer<UnsafeMutablePointer<Entry>?>
        )
            -> CInt
    ) throws(UserDatabaseError) -> Result? {
        var size = 1024
        while true {
            let entry = UnsafeMutablePointer<Entry>.allocate(capacity: 1)
            let buffer = UnsafeMutablePointer<CChar>.allocate(capacity: size)
            defer {
                unsafe entry.deallocate()
                unsafe buffer.deallocate()
            }
            var found: UnsafeMutablePointer<Entry>?
            var error: CInt = 0
            do throws(SystemCallError) {
                try systemCall("look up \(subject())") {
                    unsafe error = ask(entry, buffer, size, &found)
                    return CInt(0)
                }
            } catch {
                throw UserDatabaseError(errno: error.errno)
            }
            if let found = unsafe found { return unsafe result(found.pointee) }
            switch error {
            case EINTR: continue
            case ERANGE where size < 1 << 24: size *= 4
            // getpwnam(3): some sources say "no such" in one of these ways.
            case 0, ENOENT, ESRCH, EBADF, EPERM: return nil
            default: throw UserDatabaseError(errno: Errno(rawValue: error))
            }
        }
    }
}
