import ControllerTestSupport
import Kubernetes
import Linux
import MeshSandbox
import Testing

/// Where the configuration of the API server is found.
@Suite struct KubeconfigTests {
    /// Runs `body` with files in a temporary directory.
    private func with(_ files: [String: String], _ body: (String) throws -> Void) async throws {
        try await TemporaryFolder.with("kmesh-kubeconfig") { folder in
            for (name, text) in files { try Files.write(Array(text.utf8), to: folder.path + "/" + name) }
            try body(folder.path)
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

    private func find(_ path: String?, _ environment: [String: String] = [:]) throws -> ClusterAccess {
        try ClusterAccess.find(kubeconfig: path, environment: { environment[$0] }, serviceAccount: "/nowhere")
    }

    private func message(_ path: String?, _ environment: [String: String] = [:]) -> String {
        do {
            _ = try find(path, environment)
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
            let a = try find(folder + "/a")
            #expect(a.server == "https://10.0.0.1:6443" && a.certificateAuthority == Array("CA".utf8))
            #expect(a.serverName == "kubernetes" && a.verifiesServer)
            if case .text("secret") = a.token {} else { Issue.record("\(String(describing: a.token))") }
            let b = try find(folder + "/b")
            #expect(b.certificateAuthority == Array("authority".utf8) && b.token == nil)
            #expect(b.certificate?.chain == Array("chain".utf8) && b.certificate?.key == Array("key".utf8))
            let c = try find(folder + "/c")
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
            let named = try find(folder + "/a", list)
            #expect(named.server == "https://a")
            // The first file that sets current-context wins.
            let listed = try find(nil, list)
            #expect(listed.server == "https://b")
            #expect(message(nil, ["KUBECONFIG": folder + "/missing"]).contains("names no cluster"))
            #expect(message(nil, ["KUBERNETES_SERVICE_HOST": "10.96.0.1"]).contains("/nowhere/ca.crt cannot be read"))
            #expect(message(nil).contains("name a kubeconfig with --kubeconfig"))
        }
        try await with(["ca.crt": "authority", "token": "t\n"]) { folder in
            let access = try ClusterAccess.find(
                kubeconfig: nil, environment: { ["KUBERNETES_SERVICE_HOST": "fd00::1"][$0] }, serviceAccount: folder)
            #expect(access.server == "https://[fd00::1]:443" && access.certificateAuthority == Array("authority".utf8))
            if case .file(let path) = access.token {
                #expect(path == folder + "/token")
            } else {
                Issue.record("no file")
            }
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
            #expect(message(folder + "/a").contains(words), "\(message(folder + "/a"))")
        }
    }

    @Test(
        "An unsupported way to authenticate is reported",
        arguments: [
            ("exec: {command: aws}", "an exec plugin"), ("auth-provider: {name: gcp}", "an auth-provider"),
            ("username: me, password: x", "a password"), ("client-key: k.pem", "only one of"),
            ("client-certificate-data: '!', client-key-data: '!'", "client-certificate-data is not base64"),
        ])
    func unsupported(_ user: String, _ words: String) async throws {
        try await with(["a": config(user: user), "k.pem": "k"]) { folder in
            #expect(message(folder + "/a").contains(words), "\(message(folder + "/a"))")
        }
    }
}
