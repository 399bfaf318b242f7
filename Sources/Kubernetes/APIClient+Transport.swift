internal import AsyncHTTPClient
internal import FoundationEssentials
internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import NIOSSL

extension APIError {
    /// Maps an error of the HTTP client.
    init(_ error: any Error) {
        switch error {
        case let error as APIError: self = error
        case is CancellationError: self = .cancelled
        // A client that was replaced cancels its requests, too: only the task's own cancellation ends anything.
        case let error as HTTPClientError where error == .cancelled:
            self = Task.isCancelled ? .cancelled : .unreachable("the connection was closed")
        case let error as HTTPClientError
        where [.deadlineExceeded, .readTimeout, .connectTimeout].contains(error): self = .timedOut
        case let error as NIOConnectionError:
            guard let first = error.connectionErrors.first?.error else {
                self = .unreachable("\(error)")
                return
            }
            self = APIError(first)
        case let error as HTTPClientError where error == .remoteConnectionClosed:
            self = .unreachable("it closed the connection without a response")
        case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError: self = .unreachable(Self.words(forTLS: "\(error)"))
        case let error as IOError: self = .unreachable(error.description)
        default: self = .unreachable("\(error)")
        }
    }
}

extension APIError {
    /// The cause of a failed handshake: BoringSSL reports it as the name of a constant in a longer text.
    private static let causes = [
        (
            "CERTIFICATE_VERIFY_FAILED",
            "its certificate is not signed by the expected CA, or has expired: check the CA certificate and the clock"
        ),
        (
            "unableToValidateCertificate",
            "its certificate is not signed by the expected CA, or has expired: check the CA certificate and the clock"
        ),
        (
            "failedToValidateHostname",
            "its certificate is for another host: check the address, or set tls-server-name in the kubeconfig"
        ),
        ("WRONG_VERSION_NUMBER", "it does not speak TLS on this port: check the port, and https or http"),
        ("HTTP_REQUEST", "it does not speak TLS on this port: check the port, and https or http"),
        ("UNSUPPORTED_PROTOCOL", "it supports no version of TLS that this program accepts"),
        ("ALERT_PROTOCOL_VERSION", "it supports no version of TLS that this program accepts"),
        (
            "HANDSHAKE_FAILURE",
            "it refuses the TLS handshake: it may require a client certificate, or accept none of this program's ciphers"
        ),
        (
            "UNRECOGNIZED_NAME",
            "it has no certificate for this host: check the address, or set tls-server-name in the kubeconfig"
        ),
        ("ALERT_INTERNAL_ERROR", "it failed during the TLS handshake: see its log"),
        (
            "ALERT_UNKNOWN_CA",
            "it does not accept the client certificate: the CA that signed it is unknown to the server"
        ),
        ("ALERT_CERTIFICATE_EXPIRED", "it does not accept the client certificate: it has expired"),
        ("CERTIFICATE_REQUIRED", "it requires a client certificate: set client-certificate and client-key"),
        ("ALERT_CERTIFICATE_REVOKED", "it does not accept the client certificate: it has been revoked"),
        ("ALERT_BAD_CERTIFICATE", "it does not accept the client certificate"),
        ("ALERT_CERTIFICATE_UNKNOWN", "it does not accept the client certificate"),
        ("ALERT_UNSUPPORTED_CERTIFICATE", "it does not accept client certificates of this kind"),
        ("ALERT_ACCESS_DENIED", "it does not let the owner of the client certificate connect"),
        ("KEY_VALUES_MISMATCH", "the client certificate and the client key do not belong together"),
        ("uncleanShutdown", "it closed the connection"),
    ]

    static func words(forTLS description: String) -> String {
        causes.first { description.contains($0.0) }?.1 ?? "TLS failed: \(description)"
    }
}

/// Runs `body`, and cancels it after a timeout.
package func withTimeout<Result: Sendable>(
    _ timeout: Duration, _ body: @escaping @Sendable () async throws(APIError) -> Result
) async throws(APIError) -> Result {
    do {
        return try await withThrowingTaskGroup(of: Result.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await Task.sleep(for: timeout)
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
    /// The server's URL with the name in its certificate as the host; an override resolves that name to the real host.
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
        // A hung or unreachable server does not answer a close_notify, and nothing depends on the answer.
        tls.shutdownTimeout = .milliseconds(250)
        do {
            if let certificateAuthority {
                tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(certificateAuthority))
            }
            if !verifiesServer { tls.certificateVerification = .none }
            if let certificate {
                let chain = try NIOSSLCertificate.fromPEMBytes(certificate.chain)
                tls.certificateChain = chain.map { .certificate($0) }
                tls.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: certificate.key, format: .pem))
            }
        } catch {
            throw AccessError("a certificate or key of the kubeconfig or service account is not valid PEM (\(error))")
        }
        return tls
    }
}

extension HTTPClient.Configuration.Proxy {
    init(_ proxy: Proxy) {
        switch proxy.kind {
        case .http:
            self = .server(
                host: proxy.host, port: proxy.port,
                authorization: proxy.credentials.map { .basic(credentials: Data($0.utf8).base64EncodedString()) })
        case .socks5: self = .socksServer(host: proxy.host, port: proxy.port)
        }
    }
}

extension Channel {
    /// Enables TCP keepalive (tcp(7)): a watch may be silent for minutes, and without probes it would never notice that a
    /// firewall has dropped its connection. A dead peer is detected after a minute.
    func enableKeepalive() -> EventLoopFuture<Void> {
        let parameters = [(TCP_KEEPIDLE, 30), (TCP_KEEPINTVL, 10), (TCP_KEEPCNT, 3)]
        let options = parameters.map { setOption(.tcpOption(.init(rawValue: CInt($0.0))), value: .init($0.1)) }
        return .andAllSucceed(options + [setOption(.socketOption(.so_keepalive), value: 1)], on: eventLoop)
    }
}
