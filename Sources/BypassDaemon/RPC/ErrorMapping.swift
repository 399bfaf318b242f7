internal import Bypass
internal import BypassAPI
internal import JSONRPC

/// The one place where one of our errors becomes one of the wire's.
extension ErrorObject {
    init(_ error: BypassError) {
        switch error {
        case .permissionDenied(let message): self.init(.permissionDenied, message)
        case .netnsNotFound(let message): self.init(.netnsNotFound, message)
        case .notNetns(let message): self.init(.notANetns, message)
        case .hostNetnsRefused(let message): self.init(.hostNetnsRefused, message)
        case .kernelRefused(let operation, let errno, let detail):
            self.init(
                .kernelRefused, "the kernel refused \(operation) with \(errno): \(detail)",
                ErrorData(.kernelRefused, operation: operation, errno: errno))
        case .unsupported(let message): self.init(.unsupported, message)
        case .invalidParameter(let message): self = .invalidParams.detailed(message)
        case .conflict(let message): self.init(.conflict, message)
        case .netnsMismatch(let message): self.init(.netnsMismatch, message)
        case .limitExceeded(let limit): self.init(limit, Limits())
        }
    }

    /// The error that tells a client why its connection ends; nil if the client is told nothing.
    init?(_ reason: CloseReason, _ limits: Limits) {
        switch reason {
        case .limit(let limit), .noRoom(let limit, _): self.init(limit, limits)
        case .denied(let error): self.init(error)
        case .descriptors: self = .invalidRequest.detailed("descriptors (SCM_RIGHTS) are not taken")
        case .inputEnded, .shutdown, .unreachable: return nil
        }
    }

    /// The line of an error that answers no request.
    var line: [UInt8] {
        var writer = ResponseWriter()
        writer.write(error: self, id: .null)
        return writer.finish() ?? []
    }

    /// For programs: of the daemon's own errors as on the wire, of JSON-RPC's likewise.
    var kind: String {
        switch code {
        case Self.methodNotFound.code: "method-not-found"
        case Self.invalidParams.code: "invalid-params"
        case Self.internalError.code: "internal-error"
        default: ErrorCode(rawValue: code)?.kind ?? "invalid-request"
        }
    }
}
