internal import FoundationEssentials
internal import Linux
internal import Yams

/// A kubeconfig: the part of it that configures the access to one API server.
struct Kubeconfig {
    private var contexts: [Context] = []
    private var clusters: [Cluster] = []
    private var users: [User] = []
    private var currentContext: String?

    /// Reads files that must exist.
    init(files: [String]) throws(AccessError) {
        for file in files { try add(file) }
    }

    /// Reads those of the files that exist. As with `kubectl`, the first file that sets a value wins.
    init(search files: [String]) throws(AccessError) {
        try self.init(files: files.filter(Files.exists))
        if clusters.isEmpty { throw AccessError("KUBECONFIG names no cluster: \(files.joined(separator: ":"))") }
    }

    private mutating func add(_ path: String) throws(AccessError) {
        let text = String(decoding: try ClusterAccess.read(path), as: UTF8.self)
        let file: File
        do {
            // An empty file sets nothing.
            file = try compose(yaml: text) == nil ? File() : YAMLDecoder().decode(File.self, from: text)
        } catch {
            throw AccessError("\(path) is not a kubeconfig: \(Self.message(error))")
        }
        contexts += file.contexts ?? []
        // Paths are relative to the file's own directory.
        let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        clusters += (file.clusters ?? []).map { $0.relative(to: folder) }
        users += (file.users ?? []).map { $0.relative(to: folder) }
        if currentContext == nil, let name = file.currentContext, !name.isEmpty { currentContext = name }
    }

    private static func message(_ error: any Error) -> String {
        switch error {
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context),
            DecodingError.keyNotFound(_, let context), DecodingError.dataCorrupted(let context):
            let path = context.codingPath.map(\.stringValue).joined(separator: ".")
            return path.isEmpty ? context.debugDescription : "\(path): \(context.debugDescription)"
        default: return "\(error)"
        }
    }

    /// Resolves a context; the current one if nil.
    func access(context named: String? = nil) throws(AccessError) -> ClusterAccess {
        guard let name = named ?? currentContext else { throw AccessError("the kubeconfig has no current-context") }
        guard let context = contexts.first(where: { $0.name == name })?.context else {
            guard named != nil else {
                throw AccessError("the kubeconfig's current-context \(name) is not among its contexts")
            }
            let names = Set(contexts.map(\.name)).sorted().joined(separator: ", ")
            throw AccessError(
                "the kubeconfig has no context \(name): \(names.isEmpty ? "it has none" : "it has \(names)")")
        }
        guard let cluster = clusters.first(where: { $0.name == context.cluster })?.cluster,
            let server = cluster.server
        else { throw AccessError("the kubeconfig has no server for cluster \(context.cluster ?? "(none)")") }
        var access = ClusterAccess(server: server)
        access.certificateAuthority = try Self.bytes(
            cluster.authorityData, or: cluster.authority, "certificate-authority")
        access.verifiesServer = cluster.skipsVerification != true
        access.serverName = cluster.serverName
        access.proxy = try cluster.proxy.flatMap { (url) throws(AccessError) in url.isEmpty ? nil : try Proxy(url: url)
        }
        access.namespace = context.namespace.flatMap { $0.isEmpty ? nil : $0 }
        guard let name = context.user, !name.isEmpty else { return access }
        guard let user = users.first(where: { $0.name == name })?.user else {
            throw AccessError("the kubeconfig's user \(name) is not among its users")
        }
        try user.apply(to: &access, name)
        return access
    }

    fileprivate static func bytes(
        _ data: String?, or path: String?, _ what: String
    ) throws(AccessError) -> [UInt8]? {
        // As with kubectl, data takes precedence over a file.
        if let data, !data.isEmpty {
            guard let bytes = Data(base64Encoded: data) else {
                throw AccessError("the kubeconfig's \(what)-data is not base64")
            }
            return Array(bytes)
        }
        guard let path, !path.isEmpty else { return nil }
        return try ClusterAccess.read(path)
    }
}

extension Kubeconfig.User.Details {
    fileprivate func apply(to access: inout ClusterAccess, _ name: String) throws(AccessError) {
        // As with kubectl, a file takes precedence over an inline token.
        if let tokenFile, !tokenFile.isEmpty {
            access.token = .file(tokenFile)
        } else if let token, !token.isEmpty {
            access.token = .text(token)
        }
        let chain = try Kubeconfig.bytes(certificateData, or: certificate, "client-certificate")
        let key = try Kubeconfig.bytes(keyData, or: self.key, "client-key")
        if let chain, let key { access.certificate = .init(chain: chain, key: key) }
        if (chain == nil) != (key == nil) {
            throw AccessError("the kubeconfig's user \(name) has only one of client-certificate and client-key")
        }
        if impersonated?.isEmpty == false {
            throw AccessError(
                "the kubeconfig's user \(name) acts as another user (as), which is not supported: use a context that does not"
            )
        }
        guard access.token == nil, access.certificate == nil else { return }
        if let exec {
            access.plugin = try exec.plugin(ofUser: name)
            return
        }
        let method =
            if authProvider != nil {
                "an auth-provider"
            } else {
                username.map { _ in "a password" }
            }
        if let method {
            throw AccessError(
                "the kubeconfig's user \(name) logs in with \(method), which is not supported: use a token, a client "
                    + "certificate or an exec plugin")
        }
    }
}
