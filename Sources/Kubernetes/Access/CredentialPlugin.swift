internal import FoundationEssentials
internal import StrictJSON
internal import Subprocess
internal import SystemPackage

/// A program that gets the credentials of a kubeconfig's user (client-go's credential plugins, `client.authentication.k8s.io`).
struct CredentialPlugin: Hashable, Sendable {
    /// The user's name in the kubeconfig.
    let user: String
    let version: Version
    let command: String
    let arguments: [String]
    let environment: [String: String]
    let mode: InteractiveMode
    let wantsCluster: Bool
    let installHint: String?

    enum Version: String {
        case v1 = "client.authentication.k8s.io/v1"
        case v1beta1 = "client.authentication.k8s.io/v1beta1"
    }

    /// Whether it may ask its user.
    enum InteractiveMode: String {
        case never = "Never"
        case ifAvailable = "IfAvailable"
        case always = "Always"
    }

    /// One that may ask its user has as long as the user takes.
    private static let timeout = Duration.seconds(60)
    private static let outputLimit = 1 << 20

    /// Runs it, and adds the credentials that it prints.
    func authenticate(_ access: inout ClusterAccess, isInteractive: Bool) async throws(AccessError) {
        if mode == .always, !isInteractive {
            throw AccessError("\(self) asks its user, and needs a terminal as standard input")
        }
        let isInteractive = isInteractive && mode != .never
        let request = JSONText.bytes(of: request(for: access, isInteractive: isInteractive))
        let variables = environment.merging(["KUBERNETES_EXEC_INFO": String(decoding: request, as: UTF8.self)]) { $1 }
        let output: String
        do throws(APIError) {
            output =
                if isInteractive {
                    try await run(variables, input: .currentStandardInput)
                } else {
                    try await withTimeout(Self.timeout) { () async throws(APIError) in
                        try await run(variables, input: .none)
                    }
                }
        } catch {
            throw AccessError(error == .timedOut ? "\(self) has not ended within \(Self.timeout)" : error.description)
        }
        try addCredentials(output, to: &access)
    }

    private func request(for access: ClusterAccess, isInteractive: Bool) -> JSONValue {
        var spec: [(String, JSONValue)] = [("interactive", .bool(isInteractive))]
        if wantsCluster {
            var cluster: [(String, JSONValue)] = [("server", .string(access.server))]
            if let name = access.serverName { cluster.append(("tls-server-name", .string(name))) }
            if !access.verifiesServer { cluster.append(("insecure-skip-tls-verify", true)) }
            if let authority = access.certificateAuthority {
                cluster.append(("certificate-authority-data", .string(Data(authority).base64EncodedString())))
            }
            if let proxy = access.proxy { cluster.append(("proxy-url", .string(proxy.url))) }
            spec.append(("cluster", .object(JSONObject(uniqueMembers: cluster))))
        }
        return [
            "kind": "ExecCredential", "apiVersion": .string(version.rawValue),
            "spec": .object(JSONObject(uniqueMembers: spec)),
        ]
    }

    private func run(_ variables: [String: String], input: some InputProtocol) async throws(APIError) -> String {
        var changes: [Environment.Key: String?] = [:]
        for (name, value) in variables {
            if let key = Environment.Key(rawValue: name) { changes[key] = value }
        }
        let program: Executable = command.contains("/") ? .path(FilePath(command)) : .name(command)
        let result: Ended
        do {
            let ended = try await Subprocess.run(
                program, arguments: Arguments(arguments), environment: .inherit.updating(changes), input: input,
                output: .string(limit: Self.outputLimit), error: .currentStandardError)
            result = Ended(status: ended.terminationStatus, output: ended.standardOutput)
        } catch let error as SubprocessError where error.code == .executableNotFound {
            throw .credentials(
                "\(self) is not installed" + (installHint.map { ": \($0.filter { !$0.isNewline })" } ?? ""))
        } catch {
            throw Task.isCancelled ? .cancelled : .credentials("\(self) cannot be run: \(error)")
        }
        switch result.status {
        case .exited(0): return result.output
        case .exited(let code):
            throw .credentials("\(self) has exited with code \(code): see what it has written to standard error")
        case .signaled(let signal): throw .credentials("\(self) was ended by signal \(signal)")
        }
    }

    private struct Ended {
        var status: TerminationStatus
        var output: String
    }

    private func addCredentials(_ output: String, to access: inout ClusterAccess) throws(AccessError) {
        guard let answer = try? JSONReader.read(output).object, answer["kind"]?.string == "ExecCredential" else {
            throw AccessError("\(self) has not printed an ExecCredential")
        }
        guard answer["apiVersion"]?.string == version.rawValue else {
            throw AccessError("\(self) has not answered in version \(version.rawValue), as the kubeconfig says")
        }
        let status = answer["status"]?.object
        if let token = status?["token"]?.string, !token.isEmpty { access.token = .text(token) }
        if let chain = status?["clientCertificateData"]?.string, let key = status?["clientKeyData"]?.string {
            access.certificate = .init(chain: Array(chain.utf8), key: Array(key.utf8))
        }
        if access.token == nil, access.certificate == nil {
            throw AccessError("\(self) has printed neither a token nor a client certificate with its key")
        }
    }
}

extension CredentialPlugin: CustomStringConvertible {
    /// As the subject of a sentence.
    var description: String { "the login plugin \(command) of the kubeconfig's user \(user)" }
}

extension Kubeconfig.User.Plugin {
    func plugin(ofUser user: String) throws(AccessError) -> CredentialPlugin {
        guard let command, !command.isEmpty else {
            throw AccessError("the kubeconfig's user \(user) has an exec plugin without a command")
        }
        guard let version = CredentialPlugin.Version(rawValue: apiVersion ?? "") else {
            throw AccessError(
                "the login plugin \(command) of the kubeconfig's user \(user) has apiVersion \(apiVersion ?? "(none)"): "
                    + "\(CredentialPlugin.Version.v1.rawValue) and v1beta1 are supported")
        }
        let mode = interactiveMode ?? CredentialPlugin.InteractiveMode.ifAvailable.rawValue
        guard let mode = CredentialPlugin.InteractiveMode(rawValue: mode) else {
            throw AccessError(
                "the login plugin \(command) of the kubeconfig's user \(user) has interactiveMode \(mode): it must be Never, "
                    + "IfAvailable or Always")
        }
        return CredentialPlugin(
            user: user, version: version, command: command, arguments: args ?? [],
            environment: Dictionary((env ?? []).map { ($0.name, $0.value) }) { $1 }, mode: mode,
            wantsCluster: provideClusterInfo == true, installHint: installHint)
    }
}
