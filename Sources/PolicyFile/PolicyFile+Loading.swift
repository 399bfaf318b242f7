public import Bypass
internal import Linux

/// Why there is no policy.
public struct PolicyLoadingError: Error, Hashable, Sendable {
    /// For people: all that is wrong, each with what to do about it.
    public let lines: [String]

    public init(lines: [String]) {
        self.lines = lines
    }
}

extension PolicyFile {
    public struct Loaded: Sendable {
        public var policy: Policy
        /// Why the file is not to be believed, wherever it lies; nil if all is well.
        public var distrust: String?
    }

    /// Reads the file at `path`, with the users and groups that this machine knows. Where there is none, what is built in
    /// holds. The daemon and the command line have it from here.
    public static func load(_ path: String) throws(PolicyLoadingError) -> Loaded {
        do {
            guard let file = try SettingsFile.read(path, limit: largest) else {
                return Loaded(policy: .builtIn(group: try Accounts.group(named: Policy.groupName)))
            }
            return Loaded(policy: try read(file.contents, resolving: .ofThisMachine), distrust: file.distrust)
        } catch let error as PolicyFileError {
            throw PolicyLoadingError(lines: error.lines(about: path))
        } catch let error as SettingsFileError {
            throw PolicyLoadingError(lines: ["\(error)"])
        } catch {
            throw PolicyLoadingError(lines: ["the group \(Policy.groupName) cannot be looked up now: \(error)"])
        }
    }
}

extension AccountLookup {
    fileprivate static var ofThisMachine: AccountLookup {
        AccountLookup(uid: { try Accounts.user(named: $0)?.uid }, gid: { try Accounts.group(named: $0) })
    }
}
