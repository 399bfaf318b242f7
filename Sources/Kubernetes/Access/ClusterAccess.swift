internal import Linux
internal import Synchronization

/// How to reach an API server, and as whom.
public struct ClusterAccess: Sendable {
    /// Such as `https://10.96.0.1:443`, without a slash at its end.
    public var server: String
    /// The certificates that the server's is checked with, in PEM; the system's if nil.
    public var authority: [UInt8]?
    /// false for `insecure-skip-tls-verify`.
    public var verifiesServer = true
    /// What the server's certificate is checked for, if it is not the host in `server`.
    public var serverName: String?
    public var token: Token?
    public var certificate: ClientCertificate?

    public init(server: String) {
        self.server = server.hasSuffix("/") ? String(server.dropLast()) : server
    }

    /// Who the client is, by a certificate: both in PEM.
    public struct ClientCertificate: Sendable {
        public var chain: [UInt8]
        public var key: [UInt8]
    }

    /// Who the client is, by a bearer token.
    public enum Token: Sendable {
        case text(String)
        /// Read again and again: the kubelet writes a new token long before the old one ends.
        case file(String)
    }
}

/// Why there is no way to an API server; one sentence, with what to do.
public struct AccessError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String

    init(_ description: String) {
        self.description = description
    }
}

extension ClusterAccess {
    /// Finds it where Kubernetes' own programs look: `--kubeconfig`, the variable KUBECONFIG, the pod's service account,
    /// `~/.kube/config`.
    ///
    /// - Parameters:
    ///   - kubeconfig: a file that was named; nothing else is looked at then.
    ///   - environment: a variable of the process, by name.
    ///   - serviceAccount: where the kubelet puts token and CA.
    public static func find(
        kubeconfig: String?, environment: (String) -> String?,
        serviceAccount: String = "/var/run/secrets/kubernetes.io/serviceaccount"
    ) throws(AccessError) -> ClusterAccess {
        if let kubeconfig { return try Kubeconfig(files: [kubeconfig]).access() }
        if let list = environment("KUBECONFIG"), !list.isEmpty {
            return try Kubeconfig(search: list.split(separator: ":").map(String.init)).access()
        }
        if let host = environment("KUBERNETES_SERVICE_HOST"), !host.isEmpty {
            return try inCluster(host, environment("KUBERNETES_SERVICE_PORT") ?? "443", serviceAccount)
        }
        let home = environment("HOME").map { $0 + "/.kube/config" }
        guard let home, Files.exists(home) else {
            throw AccessError(
                "no way to an API server: this is no pod, KUBECONFIG is not set, and there is no ~/.kube/config; name a "
                    + "kubeconfig with --kubeconfig")
        }
        return try Kubeconfig(files: [home]).access()
    }

    /// What the kubelet gives each pod (its service account's token and the cluster's CA).
    private static func inCluster(
        _ host: String, _ port: String, _ folder: String
    ) throws(AccessError) -> ClusterAccess {
        var access = ClusterAccess(server: "https://" + (host.contains(":") ? "[\(host)]" : host) + ":" + port)
        access.token = .file(folder + "/token")
        access.authority = try read(folder + "/ca.crt")
        return access
    }

    static func read(_ path: String) throws(AccessError) -> [UInt8] {
        do throws(SystemCallError) {
            return try Files.read(path)
        } catch {
            throw AccessError("\(path) cannot be read: \(error.errno)")
        }
    }
}

/// Gives the token of the moment.
final class TokenSource: Sendable {
    private let token: ClusterAccess.Token?
    private let cached = Mutex<(text: String, readAt: UInt64)?>(nil)

    /// As long as Kubernetes' own clients take a token from memory: a minute.
    private static let age: UInt64 = 60_000_000_000

    init(_ token: ClusterAccess.Token?) {
        self.token = token
    }

    /// nil if there is none to send.
    func current() throws(APIError) -> String? {
        switch token {
        case nil: return nil
        case .text(let text): return text
        case .file(let path):
            let now = BootClock.now
            if let known = cached.withLock(\.self), now - known.readAt < Self.age { return known.text }
            do throws(SystemCallError) {
                let text = String(try Files.text(path).filter { !$0.isWhitespace })
                cached.withLock { $0 = (text, now) }
                return text
            } catch {
                throw .credentials("the token in \(path) cannot be read: \(error.errno)")
            }
        }
    }

    /// The server did not take the token: there may be a newer one in the file.
    ///
    /// - Returns: whether asking again may help.
    func forget(_ refused: String?) -> Bool {
        guard case .file = token else { return false }
        cached.withLock { if $0?.text == refused { $0 = nil } }
        return (try? current()) != refused
    }
}
