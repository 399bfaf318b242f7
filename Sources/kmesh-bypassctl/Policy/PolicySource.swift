internal import ArgumentParser
internal import Bypass
internal import Linux
internal import PolicyFile

/// The policy that holds, and where it comes from.
struct PolicySource {
    /// Why there is none: lines for people.
    struct Failure: Error {
        var lines: [String]
    }

    var path: String
    var policy: Policy
    /// Why the daemon would not take the file as it is.
    var distrust: String?

    init(path: String, policy: Policy, distrust: String? = nil) {
        self.path = path
        self.policy = policy
        self.distrust = distrust
    }

    /// Reads a policy file. Where the daemon looks for one and there is none, what is built in holds.
    init(_ path: String) throws(Failure) {
        self.path = path
        do {
            if let file = try SettingsFile.read(path, limit: PolicyFile.largest) {
                distrust = file.distrust
                policy = try PolicyFile.read(file.contents, resolving: .ofThisMachine)
            } else if path == PolicyFile.path {
                policy = .builtIn(group: try Accounts.group(named: Policy.groupName))
            } else {
                throw Failure(lines: ["there is no \(path)"])
            }
        } catch let failure as Failure {
            throw failure
        } catch let error as PolicyFileError {
            throw Failure(lines: error.lines(about: path))
        } catch let error as SettingsFileError {
            throw Failure(lines: ["\(error)"])
        } catch {
            throw Failure(lines: ["the group \(Policy.groupName) cannot be looked up now: \(error)"])
        }
    }

    /// What has to be said besides, as warnings.
    func notes(_ style: Style) -> String {
        guard let distrust else { return "" }
        return style.paint("warning:", .yellow) + " "
            + "the daemon will not take the file as it is: \(distrust)".printable + "\n"
    }

    /// Runs what a `policy` command does, and ends the process as all commands do if it fails.
    static func complaining(_ body: () throws -> Void) throws {
        do {
            try body()
        } catch let failure as Failure {
            for line in failure.lines { Process.complain(line) }
            throw ExitCode(ExitStatus.failed.rawValue)
        } catch let error as OutputError {
            if !error.isReaderGone { Process.complain("cannot write the output: \(error)") }
            throw ExitCode(ExitStatus.failed.rawValue)
        }
    }
}

extension AccountLookup {
    static var ofThisMachine: AccountLookup {
        AccountLookup(uid: { try Accounts.user(named: $0)?.uid }, gid: { try Accounts.group(named: $0) })
    }
}
