import ControllerTestSupport
import FoundationEssentials
import Linux
import MeshSandbox
import StrictJSON
import Testing

@testable import Kubernetes

/// What servers, and proxies before them, answer besides what was asked for.
@Suite(.timeLimit(.minutes(1))) struct ServerFaultTests {
    @Test(
        "Retry-After is seconds, or a date as a proxy sends it",
        arguments: [
            ("30", 30), ("0", 0), ("Wed, 21 Oct 2026 07:28:00 GMT", 60), ("Wed, 21 Oct 2026 07:26:00 GMT", 0),
            ("Thu, 01 Jan 2026 00:00:00 GMT", 0), ("soon", nil), ("", nil), ("Wed, 21 Foo 2026 07:28:00 GMT", nil),
            ("Wed, 21 Oct 2026 07:28:00 CET", nil), ("Wed, 41 Oct 2026 07:28:00 GMT", nil),
        ] as [(String, Int?)])
    func retryAfter(_ value: String, _ seconds: Int?) throws {
        let now = try Date("2026-10-21T07:27:00Z", strategy: .iso8601)
        #expect(RetryAfter.seconds(value, now: now) == seconds)
    }

    @Test("A proxy's page is named by its code, and its date is waited for")
    func proxy() async throws {
        try await with { server, client in
            server.fail(.proxy(503, retryAfter: "Fri, 31 Dec 9999 23:59:59 GMT"))
            let error = await #expect(throws: APIError.self) {
                _ = try await client.get("/api/v1/pods", retrying: .byCaller)
            }
            #expect(error?.retryAfter == .seconds(300), "\(error as Any)")
            #expect(error?.description == "the API server refused with 503: Service Unavailable")
            // A date that has passed: at once.
            server.fail(.proxy(429, retryAfter: "Thu, 01 Jan 2026 00:00:00 GMT"), times: 2)
            _ = try await client.get("/api/v1/pods")
            #expect(server.hasNoFaultsLeft)
        }
    }

    @Test(
        "What ends a TLS handshake is said in words",
        arguments: [
            ("SSLV3_ALERT_HANDSHAKE_FAILURE", "refuses the TLS handshake"),
            ("TLSV1_ALERT_PROTOCOL_VERSION", "supports no version of TLS"),
            ("TLSV1_ALERT_UNRECOGNIZED_NAME", "no certificate for this host"),
            ("SSLV3_ALERT_CERTIFICATE_REVOKED", "it has been revoked"),
            ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "it has expired"), ("TLSV1_ALERT_UNKNOWN_CA", "unknown to the server"),
            ("SSLV3_ALERT_CERTIFICATE_UNKNOWN", "does not accept the client certificate"),
            ("SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", "of this kind"), ("TLSV1_ALERT_ACCESS_DENIED", "does not let"),
            ("TLSV1_ALERT_INTERNAL_ERROR", "see its log"), ("KEY_VALUES_MISMATCH", "do not belong together"),
            ("TLSV1_ALERT_CERTIFICATE_REQUIRED", "requires a client certificate"),
        ])
    func alerts(_ constant: String, _ words: String) {
        // As swift-nio-ssl describes it.
        let text = "handshakeFailed(NIOSSL.BoringSSLError.sslError([Error: 268436496 error:10000410:SSL routines:"
        #expect(APIError.words(forTLS: text + "OPENSSL_internal:\(constant) at tls_record.cc:580])").contains(words))
    }

    @Test("A login plugin that gives another token each time is not run for ever")
    func changingTokens() async throws {
        try await TemporaryFolder.with("kmesh-plugin") { folder in
            // As `aws eks get-token`.
            let script = """
                #!/bin/sh
                cat <<END
                {"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1",
                "status":{"token":"$(date +%s%N)"}}
                END
                """
            try Files.write(Array(script.utf8), to: folder.path + "/login", mode: 0o755)
            let user = "{exec: {apiVersion: client.authentication.k8s.io/v1, command: ./login}}"
            try await with(user, in: folder.path) { server, client in
                server.allow(["none of them"])
                let refusal = await #expect(throws: APIError.self) { _ = try await client.get("/api/v1/pods") }
                #expect(refusal?.code == 401)
                #expect(server.takeRequests().count == 2)
                let watch = await #expect(throws: APIError.self) { _ = try await client.stream("/api/v1/pods", []) }
                #expect(watch?.code == 401 && server.requests.count == 2)
            }
        }
    }

    @Test("A watch that gets a page of a proxy, or an error, each time is tried again after longer and longer pauses")
    func uselessWatches() async throws {
        let kinds: [FaultScript.WatchFault.Kind] = [.garbage, .error(410, "Expired"), .error(500, "InternalError")]
        let counts = try await withThrowingTaskGroup(of: Int.self) { group in
            for kind in kinds {
                group.addTask {
                    try await APIServer.with { server in
                        server.failWatch(kind, times: .max)
                        try await server.watching { _ in try await Task.sleep(for: .seconds(3)) }
                        return server.requests.count(where: \.isWatch)
                    }
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        // The pauses end after 0.2, 0.6, 1.4 and 3 s at most, and after half of that at least.
        #expect(counts.allSatisfy { $0 <= 6 }, "\(counts)")
    }

    @Test("Where a watch delivers nothing, not even a bookmark, the objects are listed again")
    func silentWatch() async throws {
        try await APIServer.with { server in
            let labels: JSONValue = ["kmesh.net/bypass": "enabled"]
            server.put("a", labels: labels)
            server.failWatch(.silence(300))
            try await server.watching(bookmarkTimeout: .milliseconds(200)) { elements in
                await elements.expect("snapshot a")
                // A server that has been set back to an older state does not report it to this watch.
                server.put("b", labels: labels)
                await elements.expect("snapshot a b")
                server.put("c", labels: labels)
                await elements.expect("changed c")
            }
        }
    }

    private static func put(_ names: String..., into server: APIServer) {
        for name in names { server.put(name, labels: ["kmesh.net/bypass": "enabled"]) }
    }

    @Test("After a restored backup of etcd, with lower versions than before, the newest objects are listed")
    func restoredBackup() async throws {
        try await APIServer.with { server in
            Self.put("a", into: server)
            let backup = server.version
            Self.put("b", "c", into: server)
            try await server.watching(bookmarkTimeout: .milliseconds(200)) { elements in
                await elements.expect("snapshot a b c")
                await server.stop()
                server.restore(backup)
                server.failWatch(.silence(300))
                try await server.start()
                let restored = await elements.nextChange()
                #expect(restored == "resumed")
                let listed = await elements.nextChange()
                #expect(listed == "snapshot a")
                Self.put("d", into: server)
                await elements.expect("changed d")
            }
        }
    }

    @Test("A new list may be newer than what was seen last")
    func newerList() async throws {
        try await APIServer.with { server in
            Self.put("a", into: server)
            server.failWatch(.error(500, "InternalError"))
            try await server.watching { elements in
                await elements.expect("snapshot a")
                Self.put("b", into: server)
                _ = await elements.follow(from: ["a"], to: ["a", "b"])
            }
            let list = server.requests.last { !$0.isWatch }
            #expect(list?.query["resourceVersion"] == "1001")
            #expect(list?.query["resourceVersionMatch"] == "NotOlderThan")
        }
    }

    @Test(
        "A list that the server refuses for its minimum version asks for the newest next; one that it puts off does not",
        arguments: [(500, false), (504, false), (400, false), (403, true), (429, true)])
    func refusedList(_ code: Int, _ keepsVersion: Bool) async throws {
        try await APIServer.with { server in
            Self.put("a", into: server)
            server.failWatch(.error(500, "InternalError"))
            server.fail(.status(code, "", "no")) { !$0.isWatch && $0.query["resourceVersion"] != "0" }
            try await server.watching { elements in
                await elements.expect("snapshot a")
                let listed = await elements.nextChange()
                #expect(listed == "snapshot a")
            }
            let lists = server.requests.filter { !$0.isWatch }.map { $0.query["resourceVersion"] }
            #expect(lists == ["0", "1001", keepsVersion ? "1001" : nil])
        }
    }

    /// - Parameters:
    ///   - user: of the kubeconfig; nil for a client without credentials.
    ///   - folder: where the kubeconfig is.
    private func with(
        _ user: String? = nil, in folder: String = "", _ body: (APIServer, APIClient) async throws -> Void
    ) async throws {
        try await APIServer.with { server in
            var access = ClusterAccess(server: server.url)
            if let user {
                let config = """
                    {current-context: c, contexts: [{name: c, context: {cluster: k, user: alice}}],
                    clusters: [{name: k, cluster: {server: "\(server.url)"}}], users: [{name: alice, user: \(user)}]}
                    """
                try Files.write(Array(config.utf8), to: folder + "/config")
                access = try await ClusterAccess.find(kubeconfig: folder + "/config", environment: { _ in nil })
            }
            let client = try APIClient(access, userAgent: "test", timeout: .seconds(5))
            do {
                try await body(server, client)
            } catch {
                await client.shutdown()
                throw error
            }
            await client.shutdown()
        }
    }
}
