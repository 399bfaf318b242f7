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

    @Test("The server's certificate is verified for the right name, and the client's is sent")
    func certificates() async throws {
        try await APIServer.with(tls: try TestCertificates.serverConfiguration(requiresClientCertificate: true)) {
            server in
            var access = ClusterAccess(server: server.url)
            access.certificateAuthority = TestCertificates.authority
            access.certificate = .init(chain: TestCertificates.client, key: TestCertificates.clientKey)
            // The certificate is for another name than 127.0.0.1.
            try await with(access) { client in
                guard case .unreachable = await failure({ _ = try await client.get("/version") }) else {
                    Issue.record("a certificate for another name was taken")
                    return
                }
            }
            access.serverName = "kubernetes"
            try await with(access) { client in _ = try await client.get("/version") }
            access.certificateAuthority = TestCertificates.otherAuthority
            try await with(access) { client in
                guard case .unreachable = await failure({ _ = try await client.get("/version") }) else {
                    Issue.record("a certificate of another authority was taken")
                    return
                }
            }
            access.verifiesServer = false
            try await with(access) { client in _ = try await client.get("/version") }
            access.certificate = nil
            try await with(access) { client in
                guard case .unreachable = await failure({ _ = try await client.get("/version") }) else {
                    Issue.record("a client without a certificate was served")
                    return
                }
            }
            access.certificate = .init(chain: Array("no".utf8), key: Array("key".utf8))
            #expect(throws: AccessError.self) { try APIClient(access, userAgent: "test") }
        }
    }
}
