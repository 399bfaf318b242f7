import ControllerTestSupport
import Kubernetes
import Linux
import MeshSandbox
import StrictJSON
import Testing

/// Credentials that a kubeconfig's user gets from a program.
@Suite struct CredentialPluginTests {
    /// A kubeconfig whose user logs in with the script.
    ///
    /// - Parameter fields: of `exec`, besides its command.
    private func with<Result>(
        _ script: String, server: String = "https://10.0.0.1:6443", _ fields: String = "",
        version: String = "client.authentication.k8s.io/v1", command: String = "./login",
        _ body: (_ folder: String) async throws -> Result
    ) async throws -> Result {
        try await TemporaryFolder.with("kmesh-plugin") { folder in
            let config = """
                current-context: c
                contexts: [{name: c, context: {cluster: k, user: alice}}]
                clusters: [{name: k, cluster: {server: "\(server)", tls-server-name: kubernetes}}]
                users:
                - name: alice
                  user: {exec: {apiVersion: \(version), command: \(command), args: [--for, a b]\(fields)}}
                """
            try Files.write(Array(config.utf8), to: folder.path + "/config")
            try Files.write(Array(("#!/bin/sh\n" + script).utf8), to: folder.path + "/login", mode: 0o755)
            return try await body(folder.path)
        }
    }

    private func find(
        _ folder: String, for caller: ClusterAccess.Caller = .service
    ) async throws -> ClusterAccess {
        try await ClusterAccess.find(kubeconfig: folder + "/config", for: caller, environment: { _ in nil })
    }

    private func answer(_ status: String, version: String = "v1") -> String {
        #"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/\#(version)","status":{\#(status)}}"#
    }

    @Test("The program gets arguments, variables and what it asks for, and gives a token")
    func token() async throws {
        let script = """
            cd "$(dirname "$0")"
            printf '%s\\n' "$@" "$REGION" "$KUBERNETES_EXEC_INFO" >seen
            echo '\(answer(#""token":"secret""#))'
            """
        let fields = ", env: [{name: REGION, value: north}], provideClusterInfo: true, interactiveMode: IfAvailable"
        try await with(script, fields) { folder in
            let access = try await find(folder)
            #expect(access.token == .text("secret"))
            let seen = try Files.text(folder + "/seen").split(separator: "\n").map(String.init)
            #expect(seen.prefix(3) == ["--for", "a b", "north"])
            let info = try JSONReader.read(seen.last ?? "").object
            #expect(info?["kind"] == "ExecCredential" && info?["apiVersion"] == "client.authentication.k8s.io/v1")
            let spec = info?["spec"]?.object
            #expect(spec?["interactive"] == false)
            #expect(spec?["cluster"] == ["server": "https://10.0.0.1:6443", "tls-server-name": "kubernetes"])
        }
    }

    @Test("It may give a client certificate, in the older version too")
    func certificate() async throws {
        let status = #""clientCertificateData":"chain\\n","clientKeyData":"key\\n""#
        let script = "cat <<'END'\n\(answer(status, version: "v1beta1").replacing("\\\\", with: "\\"))\nEND\n"
        try await with(script, version: "client.authentication.k8s.io/v1beta1") { folder in
            let access = try await find(folder)
            #expect(access.certificate?.chain == Array("chain\n".utf8))
            #expect(access.certificate?.key == Array("key\n".utf8))
        }
    }

    @Test("It runs again when the API server no longer accepts the token")
    func expiry() async throws {
        try await APIServer.with { server in
            server.allow(["t1"])
            let script = """
                cd "$(dirname "$0")"
                echo >>runs
                echo '\(answer(#""token":"t'"$(wc -l <runs)"'""#))'
                """
            try await with(script, server: server.url) { folder in
                let client = try APIClient(try await find(folder), userAgent: "test")
                _ = try await client.get("/api/v1/pods")
                server.allow(["t2"])
                _ = try await client.get("/api/v1/pods")
                #expect(server.requests.map(\.token) == ["t1", "t1", "t2"])
                await client.shutdown()
            }
        }
    }

    @Test(
        "An error says what is wrong with the program, or with its answer",
        arguments: [
            ("exit 3", "", "has exited with code 3: see what it has written to standard error"),
            ("echo no", "", "has not printed an ExecCredential"),
            (#"echo '{"kind":"ExecCredential","apiVersion":"v2"}'"#, "", "has not answered in version"),
            (
                #"echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{}}'"#, "",
                "neither a token nor a client certificate"
            ),
            ("true", ", interactiveMode: Always", "needs a terminal"),
            ("true", ", interactiveMode: Perhaps", "it must be Never, IfAvailable or Always"),
        ])
    func failures(_ script: String, _ fields: String, _ words: String) async throws {
        try await with(script, fields) { folder in
            let error = await #expect(throws: AccessError.self) { _ = try await find(folder) }
            #expect(error?.description.contains(words) == true, "\(error as Any)")
            #expect(error?.description.contains("of the kubeconfig's user alice") == true)
        }
    }

    @Test("A program that is not installed, and a version that is not known")
    func missing() async throws {
        try await with("", ", installHint: get it", command: "kmesh-no-such-login") { folder in
            let error = await #expect(throws: AccessError.self) { _ = try await find(folder) }
            #expect(error?.description.hasSuffix("is not installed: get it") == true, "\(error as Any)")
        }
        try await with("", version: "client.authentication.k8s.io/v1alpha1") { folder in
            let error = await #expect(throws: AccessError.self) { _ = try await find(folder) }
            #expect(error?.description.contains("v1 and v1beta1 are supported") == true, "\(error as Any)")
        }
    }
}
