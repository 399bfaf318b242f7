internal import Linux
internal import Synchronization

/// The address of an API server, and the credentials for it.
package struct ClusterAccess: Sendable {
    /// Such as `https://10.96.0.1:443`, without a trailing slash.
    package var server: String
    /// The CA certificates to verify the server with, in PEM; the system's if nil.
    package var certificateAuthority: [UInt8]?
    /// false for `insecure-skip-tls-verify`.
    package var verifiesServer = true
    /// The name in the server's certificate, if it is not the host in `server`.
    package var serverName: String?
    package var token: Token?
    package var certificate: ClientCertificate?
    /// nil for none.
    package var proxy: Proxy?
    /// The namespace of the kubeconfig's context, or of this pod; nil if none is named.
    package var namespace: String?
    /// The source of the credentials.
    var plugin: CredentialPlugin?
    /// Reads it again from where it was found: certificates, and tokens in a kubeconfig, are replaced now and then.
    var reload: (@Sendable () async throws(AccessError) -> ClusterAccess)?

    package init(server: String) {
        self.server = server.hasSuffix("/") ? String(server.dropLast()) : server
    }

    /// A client certificate and its key, in PEM.
    package struct ClientCertificate: Hashable, Sendable {
        package var chain: [UInt8]
        package var key: [UInt8]
    }

    /// A bearer token.
    package enum Token: Hashable, Sendable {
        case text(String)
        /// Reread periodically: the kubelet rotates the token before it expires.
        case file(String)
    }
}

/// The reason that the access to an API server cannot be configured; one sentence, with the remedy.
package struct AccessError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    init(_ description: String) {
        self.description = description
    }
}

extension ClusterAccess {
    /// Its user.
    package enum Caller: Hashable, Sendable {
        /// A program that runs by itself. In a pod, it uses the pod's service account.
        case service
        /// A user at a command line: as with `kubectl`, their own kubeconfig and proxies come first.
        ///
        /// - Parameter isAtTerminal: whether a login plugin may ask for a password.
        case user(isAtTerminal: Bool)

        fileprivate var isUser: Bool { self != .service }
    }

    /// Loads the configuration from where Kubernetes' own programs do: `--kubeconfig`, the variable KUBECONFIG, the pod's
    /// service account, `~/.kube/config`.
    ///
    /// - Parameters:
    ///   - kubeconfig: if not nil, the only file to read.
    ///   - context: of the kubeconfig; its current one if nil.
    ///   - environment: the process's environment, by variable name.
    ///   - serviceAccount: the directory where the kubelet mounts token and CA.
    package static func find(
        kubeconfig: String?, context: String? = nil, for caller: Caller = .service,
        environment: @escaping @Sendable (String) -> String?,
        serviceAccount: String = "/var/run/secrets/kubernetes.io/serviceaccount"
    ) async throws(AccessError) -> ClusterAccess {
        var access = try read(kubeconfig, context, caller, environment, serviceAccount)
        if case .user = caller, access.proxy == nil {
            access.proxy = try Proxy(for: access.server, environment: environment)
        }
        if let plugin = access.plugin {
            try await plugin.authenticate(&access, isInteractive: caller == .user(isAtTerminal: true))
        }
        access.reload = { () throws(AccessError) in
            try await find(
                kubeconfig: kubeconfig, context: context, for: caller, environment: environment,
                serviceAccount: serviceAccount)
        }
        return access
    }

    private static func read(
        _ kubeconfig: String?, _ context: String?, _ caller: Caller, _ environment: (String) -> String?,
        _ serviceAccount: String
    ) throws(AccessError) -> ClusterAccess {
        if let kubeconfig { return try Kubeconfig(files: [kubeconfig]).access(context: context) }
        if let list = environment("KUBECONFIG"), !list.isEmpty {
            return try Kubeconfig(search: list.split(separator: ":").map(String.init)).access(context: context)
        }
        let home = environment("HOME").map { $0 + "/.kube/config" }.flatMap { Files.exists($0) ? $0 : nil }
        if let host = environment("KUBERNETES_SERVICE_HOST"), !host.isEmpty, context == nil,
            !(caller.isUser && home != nil)
        {
            return try inCluster(host, environment("KUBERNETES_SERVICE_PORT") ?? "443", serviceAccount)
        }
        guard let home else {
            throw AccessError(
                "no API server is configured: this is not a pod, KUBECONFIG is not set, and there is no ~/.kube/config; name "
                    + "a kubeconfig with --kubeconfig")
        }
        return try Kubeconfig(files: [home]).access(context: context)
    }

    /// The service account's token and the cluster's CA, which the kubelet mounts into each pod.
    private static func inCluster(
        _ host: String, _ port: String, _ folder: String
    ) throws(AccessError) -> ClusterAccess {
        var access = ClusterAccess(server: "https://" + (host.contains(":") ? "[\(host)]" : host) + ":" + port)
        access.token = .file(folder + "/token")
        access.certificateAuthority = try read(folder + "/ca.crt")
        access.namespace = (try? Files.text(folder + "/namespace")).map { $0.filter { !$0.isWhitespace } }
        return access
    }

    /// Whether a client made for the other one serves this one as well.
    func isEquivalent(to other: ClusterAccess) -> Bool {
        server == other.server && certificateAuthority == other.certificateAuthority
            && verifiesServer == other.verifiesServer && serverName == other.serverName && token == other.token
            && certificate == other.certificate && proxy == other.proxy
    }

    static func read(_ path: String) throws(AccessError) -> [UInt8] {
        do throws(SystemCallError) {
            return try Files.read(path)
        } catch {
            throw AccessError("\(path) cannot be read: \(error.errno)")
        }
    }
}

/// Provides the current token.
final class TokenSource: Sendable {
    private let token: ClusterAccess.Token?
    private let cached = Mutex<(text: String, readAt: UInt64)?>(nil)

    /// As long as client-go caches a token: a minute, in nanoseconds.
    private static let maxAge: UInt64 = 60_000_000_000

    init(_ token: ClusterAccess.Token?) {
        self.token = token
    }

    /// nil if no token is configured.
    func current() throws(APIError) -> String? {
        switch token {
        case nil: return nil
        case .text(let text): return text
        case .file(let path):
            let now = BootClock.now
            if let known = cached.withLock(\.self), now - known.readAt < Self.maxAge { return known.text }
            do throws(SystemCallError) {
                let text = String(try Files.text(path).filter { !$0.isWhitespace })
                cached.withLock { $0 = (text, now) }
                return text
            } catch {
                throw .credentials("the token in \(path) cannot be read: \(error.errno)")
            }
        }
    }

    /// The server has rejected the token: the file may have a newer one.
    ///
    /// - Returns: whether a retry may succeed.
    func invalidate(_ refused: String?) -> Bool {
        guard case .file = token else { return false }
        cached.withLock { if $0?.text == refused { $0 = nil } }
        return (try? current()) != refused
    }
}
