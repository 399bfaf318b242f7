internal import ArgumentParser
internal import Bypass
internal import BypassPolicy

/// The policy that holds, and where it comes from.
struct PolicySource {
    /// Why there is none: lines for people.
    struct Failure: Error {
        var lines: [String]
    }

    var path: String
    var policy: Policy
    /// Why the daemon would not take the file as it is.
    var untrustedReason: String?

    init(path: String, policy: Policy, untrustedReason: String? = nil) {
        self.path = path
        self.policy = policy
        self.untrustedReason = untrustedReason
    }

    /// Reads a policy file. Where the daemon looks for one and there is none, what is built in holds.
    init(_ path: String) throws(Failure) {
        let loaded: PolicyFile.Loaded
        do throws(PolicyLoadingError) {
            loaded = try PolicyFile.load(path)
        } catch {
            throw Failure(lines: error.lines)
        }
        if loaded.policy.isBuiltIn && path != PolicyFile.path { throw Failure(lines: ["there is no \(path)"]) }
        self.init(path: path, policy: loaded.policy, untrustedReason: loaded.untrustedReason)
    }

    /// What has to be said besides, as warnings.
    func notes(_ style: Style) -> String {
        guard let untrustedReason else { return "" }
        return style.paint("warning:", .yellow) + " "
            + "the daemon will not take the file as it is: \(untrustedReason)".printable + "\n"
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
