internal import Bypass
internal import Console
internal import Linux
internal import SystemPackage

/// The requirements of a command in a network namespace, with failures for people.
enum PodEntrance {
    /// A control group for the command.
    static func group() throws(CommandFailure) -> CommandCgroup {
        // Asked first: without it nothing of this works, and a folder of control groups cannot be written to either.
        guard (try? Capabilities().contains(.sysAdmin)) == true else { throw missingPrivilege }
        do throws(CommandCgroup.Failure) {
            return try CommandCgroup.make()
        } catch {
            throw CommandFailure("\(error): nothing was run", .failed, kind: "unsupported")
        }
    }

    static func open(_ netns: String) throws(CommandFailure) -> NetworkNamespace {
        guard let reference = NamespaceReference(netns) else {
            throw CommandFailure(
                "'\(netns.printable)' is not \(NamespaceReference.forms)\(NameHint.clause(refused: netns))", .usage,
                kind: "invalid-params")
        }
        do throws(NamespaceError) {
            return try reference.open()
        } catch {
            let (status, kind) = error.ending
            let hint = status == .noNamespace ? NameHint.clause(refused: netns) : ""
            throw CommandFailure(
                "cannot open \(netns.printable) here: \(error.reason)\(hint)", status, kind: kind)
        }
    }

    /// Runs a command, and says why it cannot be run.
    static func translatingFailures<Result>(
        of program: String, in netns: String, _ body: () async throws -> Result
    ) async throws -> Result {
        do {
            return try await body()
        } catch let failure as CommandInNamespace.Failure {
            switch failure {
            case .start(let error): throw CommandFailure("\(error)", .failed, kind: "failed")
            case .entering(let error) where error.errno == .notPermitted: throw missingPrivilege
            case .entering(let error):
                throw CommandFailure("cannot enter \(netns.printable): \(error)", .failed, kind: "failed")
            case .user(let error): throw CommandFailure("\(error)", .failed, kind: "failed")
            case .execution(let error):
                throw CommandFailure(
                    "cannot run \(program.printable): \(error.errno)",
                    error.errno == .noSuchFileOrDirectory ? .commandNotFound : .commandNotRunnable, kind: "not-run")
            }
        }
    }

    private static var missingPrivilege: CommandFailure {
        CommandFailure(
            "entering a network namespace needs root, or CAP_SYS_ADMIN: use sudo, and --as for a command that is to run as "
                + "another user", .denied, kind: "permission-denied")
    }
}

extension NamespaceError {
    fileprivate var reason: String {
        switch self {
        case .notFound(let path): "there is no \(path)"
        case .notNetworkNamespace(let path): "\(path) is not a network namespace"
        case .notFollowed(let reason), .ambiguous(let reason): reason
        case .hiddenFromCaller(let path): "\(path) leads to no network namespace that you may see"
        case .workloadOnHost(let reason): reason
        case .firstProcess(let error), .systemCall(let error): "\(error)"
        }
    }

    /// As the daemon's answer about the same name.
    fileprivate var ending: (ExitStatus, kind: String) {
        switch self {
        case .notFound, .hiddenFromCaller: (.noNamespace, "netns-not-found")
        case .notNetworkNamespace, .notFollowed: (.noNamespace, "not-a-netns")
        case .workloadOnHost: (.denied, "host-netns-refused")
        case .ambiguous: (.failed, "netns-mismatch")
        case .firstProcess, .systemCall: (.failed, "failed")
        }
    }
}
