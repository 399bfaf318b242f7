internal import AsyncHTTPClient
internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import NIOSSL

extension APIError {
    /// What an error of the HTTP client's means.
    init(_ error: any Error) {
        switch error {
        case let error as APIError: self = error
        case is CancellationError: self = .cancelled
        case let error as HTTPClientError where error == .cancelled: self = .cancelled
        case let error as HTTPClientError
        where [.deadlineExceeded, .readTimeout, .connectTimeout].contains(error): self = .timedOut
        case let error as NIOConnectionError:
            self = .unreachable(error.connectionErrors.first.map { "\($0.error)" } ?? "\(error)")
        case let error as IOError: self = .unreachable(error.description)
        default: self = .unreachable("\(error)")
        }
    }
}

/// Runs `body`, and gives up waiting for it after some time.
func within<Result: Sendable>(
    _ time: Duration, _ body: @escaping @Sendable () async throws(APIError) -> Result
) async throws(APIError) -> Result {
    do {
        return try await withThrowingTaskGroup(of: Result.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await Task.sleep(for: time)
                throw APIError.timedOut
            }
            defer { group.cancelAll() }
            guard let first = try await group.next() else { throw APIError.cancelled }
            return first
        }
    } catch {
        throw Task.isCancelled ? .cancelled : APIError(error)
    }
}

extension ClusterAccess {
    /// The server's URL with the name that its certificate has, which then leads to the host that the URL has.
    func server(named name: String?, in overrides: inout [String: String]) -> String {
        guard let name, let start = server.firstRange(of: "://")?.upperBound else { return server }
        let rest = server[start...]
        let end = rest.first == "[" ? rest.firstIndex(of: "]").map(rest.index(after:)) : nil
        let host = rest[..<(end ?? rest.firstIndex { $0 == ":" || $0 == "/" } ?? rest.endIndex)]
        overrides[name] = host.filter { $0 != "[" && $0 != "]" }
        return server[..<start] + name + rest[host.endIndex...]
    }

    func tlsConfiguration() throws(AccessError) -> TLSConfiguration {
        var tls = TLSConfiguration.makeClientConfiguration()
        // A server that is hung or out of reach does not answer a farewell, and nothing hangs on its answer.
        tls.shutdownTimeout = .milliseconds(250)
        do {
            if let authority { tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(authority)) }
            if !verifiesServer { tls.certificateVerification = .none }
            if let certificate {
                let chain = try NIOSSLCertificate.fromPEMBytes(certificate.chain)
                tls.certificateChain = chain.map { .certificate($0) }
                tls.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: certificate.key, format: .pem))
            }
        } catch {
            throw AccessError("a certificate or key of the kubeconfig cannot be read: it must be PEM (\(error))")
        }
        return tls
    }
}

extension Channel {
    /// Has the kernel ask a silent peer whether it is still there: a watch may be silent for minutes, and a firewall that
    /// forgot it would make it silent for ever. Gone after a minute (tcp(7)).
    func probePeer() -> EventLoopFuture<Void> {
        let times = [(TCP_KEEPIDLE, 30), (TCP_KEEPINTVL, 10), (TCP_KEEPCNT, 3)]
        let options = times.map { setOption(.tcpOption(.init(rawValue: CInt($0.0))), value: .init($0.1)) }
        return .andAllSucceed(options + [setOption(.socketOption(.so_keepalive), value: 1)], on: eventLoop)
    }
}
