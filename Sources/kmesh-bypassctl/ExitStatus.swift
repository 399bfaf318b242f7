internal import BypassAPI
internal import BypassClient

/// Exit codes of failures; the command's help lists them.
enum ExitStatus: Int32 {
    case failed = 1
    case noDaemon = 3
    case denied = 4
    case noNamespace = 5

    init(_ error: BypassClientError) {
        switch error {
        case .daemonNotRunning: self = .noDaemon
        case .accessDenied: self = .denied
        case .refused(let error): self.init(error.known)
        case .connectFailed, .connectionClosed, .timedOut, .cancelled, .invalidAnswer, .invalidRequest: self = .failed
        }
    }

    private init(_ code: ErrorCode?) {
        switch code {
        case .permissionDenied, .hostNetnsRefused: self = .denied
        case .netnsNotFound, .notANetns: self = .noNamespace
        case .kernelRefused, .unsupported, .limitExceeded, .conflict, .netnsMismatch, nil: self = .failed
        }
    }
}

/// What is wrong, and what can be done about it.
func advice(on error: BypassClientError) -> String {
    switch error {
    case .daemonNotRunning(Product.socketPath):
        "\(error): start it with 'systemctl start \(Product.name)'"
    case .daemonNotRunning:
        "\(error): start it, or name another socket with --socket or \(Product.socketVariable)"
    case .accessDenied:
        "\(error): become root or a member of the group 'kmesh'"
    case .connectionClosed, .timedOut, .invalidAnswer:
        "\(error): 'journalctl -u \(Product.name)' may tell why"
    case .connectFailed, .cancelled, .refused, .invalidRequest:
        error.description
    }
}
