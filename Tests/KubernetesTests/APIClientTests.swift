import ControllerTestSupport
import Linux
import MeshSandbox
import StrictJSON
import Testing

@testable import Kubernetes

/// Requests and their errors.
@Suite(.timeLimit(.minutes(1))) struct APIClientTests {
    private func failure(_ body: () async throws -> Void) async -> APIError? {
        do {
            try await body()
            return nil
        } catch {
            return error as? APIError
        }
    }

    private func with(
        _ access: ClusterAccess, timeout: Duration = .seconds(5), _ body: (APIClient) async throws -> Void
    ) async throws {
        let client = try APIClient(access, userAgent: "test/1", timeout: timeout)
        do {
            try await body(client)
        } catch {
            await client.shutdown()
            throw error
        }
        await client.shutdown()
    }

    @Test("Refusals, timeouts, invalid responses and lost connections are different errors")
    func failures() async throws {
        try await APIServer.with { server in
            try await with(ClusterAccess(server: server.url), timeout: .milliseconds(300)) { client in
                let missing = await failure { _ = try await client.get("/api/v1/namespaces/default/pods/none") }
                #expect(missing?.code == 404 && missing.map { "\($0)".contains("not found") } == true)
                server.fail(.silence)
                let silence = await failure { _ = try await client.get("/api/v1/pods") }
                #expect(silence == .timedOut)
                server.fail(.garbage)
                guard case .invalidAnswer = await failure({ _ = try await client.get("/api/v1/pods") }) else {
                    Issue.record("HTML was taken")
                    return
                }
                server.fail(.drop)
                guard case .unreachable = await failure({ _ = try await client.get("/api/v1/pods") }) else {
                    Issue.record("a closed connection was taken for a response")
                    return
                }
                await server.stop()
                guard case .unreachable(let reason) = await failure({ _ = try await client.get("/api/v1/pods") }) else {
                    Issue.record("a stopped server responded")
                    return
                }
                #expect(reason.contains("refused"), "\(reason)")
            }
        }
    }

    @Test("A token in a file is reread when the server rejects it")
    func rotation() async throws {
        try await TemporaryFolder.with("kmesh-token") { folder in try await rotation(folder.path + "/token") }
    }

    private func rotation(_ path: String) async throws {
        try Files.write(Array("first\n".utf8), to: path)
        try await APIServer.with { server in
            server.allow(["first"])
            var access = ClusterAccess(server: server.url)
            access.token = .file(path)
            try await with(access) { client in
                _ = try await client.get("/api/v1/pods")
                try Files.write(Array("second\n".utf8), to: path)
                // Cached for a minute.
                _ = try await client.get("/api/v1/pods")
                server.allow(["second"])
                _ = try await client.get("/api/v1/pods")
                #expect(server.requests.map(\.token) == ["first", "first", "first", "second"])
                server.allow(["third"])
                let refusal = await failure { _ = try await client.get("/api/v1/pods") }
                #expect(refusal?.code == 401)
                #expect(server.requests.count == 5)
            }
        }
    }

    @Test("A request waits as long as the server asks for, and is sent again")
    func retryAfter() async throws {
        try await APIServer.with { server in
            try await with(ClusterAccess(server: server.url)) { client in
                server.fail(.statusWithRetry(429, seconds: 1), times: 2)
                let start = ContinuousClock.now
                _ = try await client.get("/api/v1/pods")
                #expect(start.duration(to: .now) >= .seconds(2) && server.takeRequests().count == 3)
                server.fail(.statusWithRetry(429, seconds: 1))
                let refusal = await failure { _ = try await client.get("/api/v1/pods", retrying: .byCaller) }
                #expect(refusal?.code == 429 && refusal?.retryAfter == .seconds(1))
            }
        }
    }

    @Test("A CA, a certificate or a token that is replaced in its file is followed")
    func replacedFiles() async throws {
        try await TemporaryFolder.with("kmesh-access") { folder in try await replacedFiles(folder.path) }
    }

    private func replacedFiles(_ folder: String) async throws {
        try await APIServer.with(tls: try TestCertificates.serverConfiguration(requiresClientCertificate: false)) {
            server in
            func write(token: String) throws {
                let text = """
                    {current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}],
                    clusters: [{name: k, cluster: {server: "\(server.url)", certificate-authority: ca.crt,
                    tls-server-name: kubernetes}}], users: [{name: u, user: {token: \(token)}}]}
                    """
                try Files.write(Array(text.utf8), to: folder + "/config")
            }
            server.allow(["first"])
            try write(token: "first")
            try Files.write(TestCertificates.otherAuthority, to: folder + "/ca.crt")
            let access = try await ClusterAccess.find(kubeconfig: folder + "/config", environment: { _ in nil })
            try await with(access) { client in
                let refusal = await failure { _ = try await client.get("/api/v1/pods") }
                #expect(refusal?.description.contains("not signed by the expected CA") == true, "\(refusal as Any)")
                try Files.write(TestCertificates.authority, to: folder + "/ca.crt")
                _ = try await client.get("/api/v1/pods")
                server.allow(["second"])
                #expect(await failure { _ = try await client.get("/api/v1/pods") }?.code == 401)
                try write(token: "second")
                _ = try await client.get("/api/v1/pods")
                // A file that is being replaced does not count.
                try Files.write([], to: folder + "/ca.crt")
                try await server.restart()
                _ = await failure { _ = try await client.get("/api/v1/pods") }
                _ = try await client.get("/api/v1/pods")
            }
        }
    }

    @Test("A watch goes on when the client's credentials are replaced")
    func watchAfterReplacement() async throws {
        try await TemporaryFolder.with("kmesh-access") { folder in try await watchAfterReplacement(folder.path) }
    }

    private func watchAfterReplacement(_ folder: String) async throws {
        try await APIServer.with { server in
            func write(token: String) throws {
                let text = """
                    {current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}],
                    clusters: [{name: k, cluster: {server: "\(server.url)"}}], users: [{name: u, user: {token: \(token)}}]}
                    """
                try Files.write(Array(text.utf8), to: folder + "/config")
            }
            server.allow(["first"])
            try write(token: "first")
            let access = try await ClusterAccess.find(kubeconfig: folder + "/config", environment: { _ in nil })
            try await with(access) { client in
                let watch = Task { () -> Bool in
                    for await element in ResourceWatch<Pod>(client, "/api/v1/pods", selectors: []) {
                        switch element {
                        case .snapshot(let pods, _) where pods.contains { $0.metadata.name == "late" }: return true
                        case .changed(let pod) where pod.metadata.name == "late": return true
                        default: continue
                        }
                    }
                    return false
                }
                while !server.requests.contains(where: \.isWatch) { try await Task.sleep(for: .milliseconds(5)) }
                server.allow(["second"])
                try write(token: "second")
                // It is refused, and has the credentials read again.
                _ = try await client.get("/api/v1/pods")
                server.put("late")
                #expect(await watch.value)
            }
        }
    }

    @Test("The server's certificate is verified for the right name, and the client's is sent")
    func certificates() async throws {
        try await APIServer.with(tls: try TestCertificates.serverConfiguration(requiresClientCertificate: true)) {
            server in
            var access = ClusterAccess(server: server.url)
            access.certificateAuthority = TestCertificates.authority
            access.certificate = .init(chain: TestCertificates.client, key: TestCertificates.clientKey)
            // The certificate is for another name than 127.0.0.1.
            try await with(access) { client in
                let words = await failure { _ = try await client.get("/version") }?.description
                #expect(words?.contains("its certificate is for another host") == true, "\(words ?? "it was taken")")
            }
            access.serverName = "kubernetes"
            try await with(access) { client in _ = try await client.get("/version") }
            access.certificateAuthority = TestCertificates.otherAuthority
            try await with(access) { client in
                let words = await failure { _ = try await client.get("/version") }?.description
                #expect(words?.contains("is not signed by the expected CA") == true, "\(words ?? "it was taken")")
            }
            access.verifiesServer = false
            try await with(access) { client in _ = try await client.get("/version") }
            access.certificate = nil
            try await with(access) { client in
                let words = await failure { _ = try await client.get("/version") }?.description
                #expect(words?.contains("client certificate") == true, "\(words ?? "it was served")")
            }
            access.certificate = .init(chain: Array("no".utf8), key: Array("key".utf8))
            #expect(throws: AccessError.self) { try APIClient(access, userAgent: "test") }
        }
    }
}
