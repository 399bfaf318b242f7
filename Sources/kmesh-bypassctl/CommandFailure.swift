internal import ArgumentParser
internal import BypassAPI
internal import BypassClient
internal import Console
internal import JSONRPC
internal import Linux
internal import StrictJSON

/// The failure of a command.
struct CommandFailure: Error {
    /// The fault and its remedy, as a sentence.
    var message: String
    var status: ExitStatus
    /// The daemon's error code, where it has answered.
    var code: Int?
    /// The details for programs.
    var data: JSONValue

    init(_ message: String, _ status: ExitStatus, kind: String) {
        self.message = message
        self.status = status
        data = Self.data(kind)
    }

    /// - Parameter netns: the name that the daemon was given, if any: it may be another one that was meant.
    init(_ error: BypassClientError, naming netns: String? = nil) {
        message = advice(on: error)
        status = ExitStatus(error)
        data = Self.data(error.kind)
        guard case .refused(let refusal) = error else { return }
        code = refusal.code
        if let details = refusal.data { data = details }
        // A wrong parameter is named first.
        let isAboutName =
            [.netnsNotFound, .notANetns].contains(refusal.known) || status == .usage && message.hasPrefix("netns:")
        if isAboutName, let netns { message += NameHint.clause(refused: netns) }
    }

    private static func data(_ kind: String) -> JSONValue {
        .object(JSONObject(uniqueMembers: [("kind", .string(kind))]))
    }

    /// Says it on standard error, and with `--json` on standard output too, where a program reads.
    ///
    /// - Returns: how to exit.
    func report(asJSON: Bool) -> ExitCode {
        report(asJSON: asJSON, lines: [message])
    }

    /// - Parameter lines: the message on standard error.
    func report(asJSON: Bool, lines: [String]) -> ExitCode {
        if asJSON {
            let report = Report(error: .init(code: code, message: message, data: data))
            if let line = try? JSONEncoding.text(of: report) { try? Console.print(line + "\n") }
        }
        for line in lines { Console.printError(line) }
        return ExitCode(status.rawValue)
    }

    private struct Report: Encodable {
        struct Failure: Encodable {
            var code: Int?
            var message: String
            var data: JSONValue
        }

        var error: Failure
    }
}

extension BypassClientError {
    /// The name for programs, of the errors that the daemon did not send.
    fileprivate var kind: String {
        switch self {
        case .daemonNotRunning: "daemon-not-running"
        case .accessDenied: "access-denied"
        case .connectFailed: "connect-failed"
        case .connectionClosed: "connection-closed"
        case .timedOut: "timed-out"
        case .cancelled: "cancelled"
        case .refused(let error): error.kind ?? error.standardKind
        case .invalidAnswer: "invalid-answer"
        case .invalidRequest: "invalid-request"
        }
    }
}

extension DaemonError {
    /// The name for programs of JSON-RPC's own errors, which have none on the wire.
    fileprivate var standardKind: String {
        switch code {
        case ErrorObject.invalidParams.code: "invalid-params"
        case ErrorObject.methodNotFound.code: "method-not-found"
        default: "refused"
        }
    }
}

/// Runs what a command does, and reports how it fails.
///
/// - Parameters:
///   - asJSON: whether a program reads standard output.
///   - netns: the name that the command was given, if any.
func reportingFailures(
    asJSON: Bool = false, naming netns: String? = nil, _ body: () async throws -> Void
) async throws {
    do {
        try await body()
    } catch let failure as CommandFailure {
        throw failure.report(asJSON: asJSON)
    } catch let error as BypassClientError {
        throw CommandFailure(error, naming: netns).report(asJSON: asJSON)
    } catch let error as SystemCallError {
        throw CommandFailure("\(error)", .failed, kind: "failed").report(asJSON: asJSON)
    }
}

/// The fault and its remedy, as a sentence.
func advice(on error: BypassClientError) -> String {
    switch error {
    case .daemonNotRunning(Product.socketPath):
        "\(error): start it\(startCommand)"
    case .daemonNotRunning:
        "\(error): start it, or name another socket with --socket or \(Product.socketVariable)"
    case .accessDenied:
        "\(error): become root or a member of the group 'kmesh'"
    case .connectionClosed, .timedOut, .invalidAnswer:
        "\(error): \(Systemd.isBooted ? "'journalctl -u \(Product.name)'" : "the daemon's log") may say why"
    case .refused(let refusal):
        sentence(of: refusal)
    case .connectFailed, .cancelled, .invalidRequest:
        error.description
    }
}

/// The command that starts the daemon on this machine.
private var startCommand: String {
    Systemd.isBooted ? " with 'systemctl start \(Product.name)'" : ": 'sudo \(Product.name)' runs it in the foreground"
}

/// The daemon's message, without JSON-RPC's words for it.
private func sentence(of error: DaemonError) -> String {
    switch error.code {
    case ErrorObject.invalidParams.code:
        error.message.withoutPrefix(ErrorObject.invalidParams.message + ": ")
    case ErrorObject.methodNotFound.code:
        "the daemon is of another version, which does not know this command: 'kmesh-bypassctl info' shows which"
    default:
        error.message
    }
}

extension String {
    fileprivate func withoutPrefix(_ prefix: String) -> String {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : self
    }
}
