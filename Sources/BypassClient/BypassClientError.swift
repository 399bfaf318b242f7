public import BypassAPI
internal import Glibc
package import JSONRPC
internal import NIOCore
public import StrictJSON

/// The reason for a failed call. `description` is a clause for people, without full stop.
public enum BypassClientError: Error, Hashable, Sendable {
    /// There is no socket at `path`, or no daemon listens on it.
    case daemonNotRunning(path: String)
    /// The permissions of the socket, or of a directory above it, deny access to this process.
    case accessDenied(path: String)
    /// Connecting failed for another reason.
    case connectFailed(path: String, reason: String)
    /// The connection was closed before the answer came, by the daemon or by ``BypassClient/close()``.
    case connectionClosed
    /// No answer came in time. The daemon may still execute the request.
    case timedOut
    /// The task was cancelled. The daemon may still execute the request.
    case cancelled
    /// The daemon answered with an error. Nothing has changed.
    case refused(DaemonError)
    /// The client does not understand what the daemon sent; the connection may have been closed because of it.
    case invalidAnswer(String)
    /// The parameters cannot be written as JSON. Nothing was sent.
    case invalidRequest(String)
}

extension BypassClientError {
    static func unknownNotification(_ method: String) -> Self {
        .invalidAnswer("the event \(String(reflecting: method)) is unknown")
    }
}

/// An error as the daemon sent it.
public struct DaemonError: Error, Hashable, Sendable {
    /// The JSON-RPC error code.
    public let code: Int
    /// One sentence for people, with what to do.
    public let message: String
    /// All details for programs, those of a newer daemon too.
    public let data: JSONValue?
    /// The part of `data` that this version knows: the kind, and its details.
    public let details: ErrorData?

    /// The code, when it is one of the daemon's own and not of JSON-RPC.
    public var known: ErrorCode? { ErrorCode(rawValue: code) }
    /// The code's name for programs, such as `netns-not-found`.
    public var kind: String? { details?.kind ?? known?.kind }

    package init(_ error: ErrorObject) {
        code = error.code
        message = error.message
        data = error.data
        details = error.data.flatMap { try? JSONDecoding.decode(from: $0, unknownMembers: .ignore) }
    }
}

extension BypassClientError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .daemonNotRunning(let path): "no daemon listens on \(path)"
        case .accessDenied(let path): "access to \(path) is denied"
        case .connectFailed(let path, let reason): "cannot connect to \(path): \(reason)"
        case .connectionClosed: "the connection was closed before the daemon answered"
        case .timedOut: "the daemon did not answer in time"
        case .cancelled: "the call was cancelled"
        case .refused(let error): error.message
        case .invalidAnswer(let reason): "the daemon sent an answer that makes no sense: \(reason)"
        case .invalidRequest(let reason): "the request cannot be written: \(reason)"
        }
    }
}

extension BypassClientError {
    /// The error of a failed attempt to connect.
    init(connectingTo path: String, _ error: any Error) {
        switch error {
        case let error as IOError: self.init(connectingTo: path, errno: error.errnoCode, reason: error.description)
        case SocketAddressError.unixDomainSocketPathTooLong:
            self = .connectFailed(path: path, reason: "the path is longer than a socket's may be")
        default: self = .connectFailed(path: path, reason: "\(error)")
        }
    }

    init(connectingTo path: String, errno: CInt, reason: String) {
        switch errno {
        // A socket file may outlive the daemon that made it: then the connection is refused.
        case ENOENT, ECONNREFUSED: self = .daemonNotRunning(path: path)
        case EACCES, EPERM: self = .accessDenied(path: path)
        default: self = .connectFailed(path: path, reason: reason)
        }
    }
}
