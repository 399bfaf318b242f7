import ControllerTestSupport
import Kubernetes
import Linux
import MeshSandbox
import Testing

/// Where the configuration of the API server is found.
@Suite struct KubeconfigTests {
    /// Runs `body` with files in a temporary directory.
    private func with(_ files: [String: String], _ body: (String) async throws -> Void) async throws {
        try await TemporaryFolder.with("kmesh-kubeconfig") { folder in
            for (name, text) in files {
                if let slash = name.lastIndex(of: "/") { try Files.makeFolder(folder.path + "/" + name[..<slash]) }
                try Files.write(Array(text.utf8), to: folder.path + "/" + name)
            }
            try await body(folder.path)
        }
    }

    private func config(
        _ name: String = "here", server: String = "https://10.0.0.1:6443", cluster: String = "",
        user: String = "token: t",
        current: String? = nil
    ) -> String {
        """
        apiVersion: v1
        kind: Config
        current-context: \(current ?? name)
        contexts:
        - name: \(name)
          context: {cluster: \(name), user: \(name), namespace: default}
        clusters:
        - name: \(name)
          cluster: {server: "\(server)"\(cluster.isEmpty ? "" : ", ")\(cluster)}
        users:
        - name: \(name)
          user: {\(user)}
        """
    }

    private func find(
        _ path: String?, context: String? = nil, for caller: ClusterAccess.Caller = .service,
        _ environment: [String: String] = [:]
    ) async throws -> ClusterAccess {
        try await ClusterAccess.find(
            kubeconfig: path, context: context, for: caller, environment: { environment[$0] },
            serviceAccount: "/nowhere")
    }

    private func message(
        _ path: String?, context: String? = nil, _ environment: [String: String] = [:]
    ) async -> String {
        do {
            _ = try await find(path, context: context, environment)
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test("A file has server, CA and credentials; paths are relative to it")
    func file() async throws {
        let files = [
            "a": config(
                cluster: "certificate-authority-data: Q0E=, tls-server-name: kubernetes", user: "token: secret"),
            "b": config(
                cluster: "certificate-authority: ca.pem, insecure-skip-tls-verify: false",
                user: "client-certificate: me.pem, client-key: me.key"),
            "c": config(server: "http://127.0.0.1:8080/base/", user: "tokenFile: ./token"),
            "ca.pem": "authority", "me.pem": "chain", "me.key": "key",
        ]
        try await with(files) { folder in
            let a = try await find(folder + "/a")
            #expect(a.server == "https://10.0.0.1:6443" && a.certificateAuthority == Array("CA".utf8))
            #expect(a.serverName == "kubernetes" && a.verifiesServer)
            if case .text("secret") = a.token {} else { Issue.record("\(String(describing: a.token))") }
            let b = try await find(folder + "/b")
            #expect(b.certificateAuthority == Array("authority".utf8) && b.token == nil)
            #expect(b.certificate?.chain == Array("chain".utf8) && b.certificate?.key == Array("key".utf8))
            let c = try await find(folder + "/c")
            #expect(c.server == "http://127.0.0.1:8080/base")
            if case .file(let path) = c.token { #expect(path == folder + "/./token") } else { Issue.record("no file") }
        }
    }

    @Test("The search order: the option, KUBECONFIG, the service account, the home directory")
    func search() async throws {
        let files = ["a": config("a", server: "https://a"), "b": config("b", server: "https://b")]
        try await with(files) { folder in
            let list = [
                "KUBECONFIG": "\(folder)/missing:\(folder)/b:\(folder)/a", "KUBERNETES_SERVICE_HOST": "10.96.0.1",
            ]
            let named = try await find(folder + "/a", list)
            #expect(named.server == "https://a")
            // The first file that sets current-context wins.
            let listed = try await find(nil, list)
            #expect(listed.server == "https://b")
            #expect(await message(nil, ["KUBECONFIG": folder + "/missing"]).contains("names no cluster"))
            #expect(
                await message(nil, ["KUBERNETES_SERVICE_HOST": "10.96.0.1"]).contains("/nowhere/ca.crt cannot be read"))
            #expect(await message(nil).contains("name a kubeconfig with --kubeconfig"))
        }
        try await with(["ca.crt": "authority", "token": "t\n"]) { folder in
            let access = try await ClusterAccess.find(
                kubeconfig: nil, environment: { ["KUBERNETES_SERVICE_HOST": "fd00::1"][$0] }, serviceAccount: folder)
            #expect(access.server == "https://[fd00::1]:443" && access.certificateAuthority == Array("authority".utf8))
            if case .file(let path) = access.token {
                #expect(path == folder + "/token")
            } else {
                Issue.record("no file")
            }
        }
    }

    @Test("A context can be named; its namespace counts, and files are merged: the first one that has a name wins")
    func contexts() async throws {
        let files = [
            "a": """
            current-context: a
            contexts:
            - {name: a, context: {cluster: a, user: me, namespace: shop}}
            - {name: both, context: {cluster: b, user: me}}
            clusters: [{name: a, cluster: {server: "https://a"}}]
            """,
            "b": """
            current-context: b
            contexts: [{name: both, context: {cluster: a, user: me}}, {name: b, context: {cluster: b, user: me}}]
            clusters: [{name: a, cluster: {server: "https://other"}}, {name: b, cluster: {server: "https://b"}}]
            users: [{name: me, user: {token: mine}}]
            """, "empty": "",
        ]
        try await with(files) { folder in
            let list = ["KUBECONFIG": ["empty", "a", "b"].map { folder + "/" + $0 }.joined(separator: ":")]
            let current = try await find(nil, list)
            #expect(current.server == "https://a" && current.namespace == "shop" && current.token == .text("mine"))
            let both = try await find(nil, context: "both", list)
            #expect(both.server == "https://b" && both.namespace == nil)
            let other = try await find(nil, context: "b", list)
            #expect(other.server == "https://b")
            #expect(await message(nil, context: "c", list) == "the kubeconfig has no context c: it has a, b, both")
        }
    }

    @Test("A user's own kubeconfig comes before the service account of the pod that they work in")
    func user() async throws {
        try await with([".kube/config": config("a", server: "https://a")]) { folder in
            let pod = ["HOME": folder, "KUBERNETES_SERVICE_HOST": "10.96.0.1"]
            let own = try await find(nil, for: .user(isAtTerminal: false), pod)
            #expect(own.server == "https://a")
            let named = try await find(nil, context: "a", pod)
            #expect(named.server == "https://a")
            #expect(await message(nil, pod).contains("/nowhere/ca.crt cannot be read"))
        }
    }

    @Test(
        "An error names what is missing or invalid",
        arguments: [
            ("current-context: x\ncontexts: 7", "contexts"), ("{", "is not a kubeconfig"),
            ("clusters: []", "no current-context"),
            ("current-context: x", "current-context x is not among its contexts"),
            ("current-context: x\ncontexts: [{name: x, context: {cluster: y}}]", "no server for cluster y"),
        ])
    func malformed(_ text: String, _ words: String) async throws {
        try await with(["a": text]) { folder in
            let message = await message(folder + "/a")
            #expect(message.contains(words), "\(message)")
        }
    }

    @Test(
        "An unsupported way to authenticate is reported",
        arguments: [
            ("auth-provider: {name: gcp}", "an auth-provider"), ("username: me, password: x", "a password"),
            ("token: t, as: root", "acts as another user"), ("client-key: k.pem", "only one of"),
            ("client-certificate-data: '!', client-key-data: '!'", "client-certificate-data is not base64"),
        ])
    func unsupported(_ user: String, _ words: String) async throws {
        try await with(["a": config(user: user), "k.pem": "k"]) { folder in
            let message = await message(folder + "/a")
            #expect(message.contains(words), "\(message)")
        }
    }
}
