internal import Linux

/// Why there is no policy.
package struct PolicyLoadingError: Error, Hashable, Sendable {
    /// For people: all that is wrong, each with what to do about it.
    package let lines: [String]

    package init(lines: [String]) {
        self.lines = lines
    }
}

extension PolicyFile {
    package struct Loaded: Sendable {
        package var policy: Policy
        /// Why the file is not to be believed, wherever it lies; nil if all is well.
        package var untrustedReason: String?
    }

    /// Reads the file at `path`, with the users and groups that this machine knows. Where there is none, what is built in
    /// holds. The daemon and the command line have it from here.
    package static func load(_ path: String) throws(PolicyLoadingError) -> Loaded {
        do {
            guard let file = try TrustedFile.read(path, limit: maxBytes) else {
                return Loaded(policy: .builtIn(group: try UserDatabase.group(named: Policy.groupName)))
            }
            return Loaded(
                policy: try read(file.contents, resolving: .ofThisMachine), untrustedReason: file.untrustedReason)
        } catch let error as PolicyFileError {
            throw PolicyLoadingError(lines: error.lines(about: path))
        } catch let error as TrustedFileError {
            throw PolicyLoadingError(lines: ["\(error)"])
        } catch {
            throw PolicyLoadingError(lines: ["the group \(Policy.groupName) cannot be looked up now: \(error)"])
        }
    }
}

extension AccountLookup {
    fileprivate static var ofThisMachine: AccountLookup {
        AccountLookup(uid: { try UserDatabase.user(named: $0)?.uid }, gid: { try UserDatabase.group(named: $0) })
    }
}
