import ControllerTestSupport
import Linux
import MeshSandbox
import Testing

@testable import Kubernetes

/// Proxies between client and API server.
@Suite struct ProxyTests {
    @Test(
        "A proxy is a URL",
        arguments: [
            ("http://proxy.example:3128", Proxy.Kind.http, "proxy.example", 3128, nil),
            ("proxy.example:3128", .http, "proxy.example", 3128, nil),
            ("http://proxy.example/", .http, "proxy.example", 80, nil),
            ("http://me:p%40ss@[fd00::1]:8080", .http, "fd00::1", 8080, "me:p@ss"),
            ("socks5://127.0.0.1", .socks5, "127.0.0.1", 1080, nil),
        ] as [(String, Proxy.Kind, String, Int, String?)])
    func url(_ text: String, _ kind: Proxy.Kind, _ host: String, _ port: Int, _ credentials: String?) throws {
        let proxy = try Proxy(url: text)
        #expect(proxy.kind == kind && proxy.host == host && proxy.port == port && proxy.credentials == credentials)
    }

    @Test(
        "What is not supported is refused, and no message shows a password",
        arguments: [
            ("https://me:secret@proxy.example", "of kind https: http and socks5 are supported"),
            ("socks5://me:secret@proxy.example", "has a user, which is supported for http proxies only"),
            ("http://", "is not a URL such as"),
        ])
    func refused(_ text: String, _ words: String) throws {
        let error = #expect(throws: AccessError.self) { _ = try Proxy(url: text) }
        #expect(error?.description.contains(words) == true, "\(error as Any)")
        #expect(error?.description.contains("secret") == false)
    }

    @Test(
        "The variables count as for Go's programs",
        arguments: [
            ("https://api.example:6443", ["HTTPS_PROXY": "http://p"], true),
            ("https://api.example:6443", ["https_proxy": "http://p"], true),
            ("https://api.example:6443", ["HTTP_PROXY": "http://p"], false),
            ("http://api.example", ["HTTP_PROXY": "http://p"], true),
            ("https://127.0.0.1:6443", ["HTTPS_PROXY": "http://p"], false),
            ("https://localhost:6443", ["HTTPS_PROXY": "http://p"], false),
            ("https://api.example", ["HTTPS_PROXY": "http://p", "NO_PROXY": "*"], false),
            ("https://api.example", ["HTTPS_PROXY": "http://p", "no_proxy": "other, example"], false),
            ("https://api.example", ["HTTPS_PROXY": "http://p", "NO_PROXY": "pi.example"], true),
            ("https://example", ["HTTPS_PROXY": "http://p", "NO_PROXY": ".example"], true),
            ("https://api.example", ["HTTPS_PROXY": "http://p", "NO_PROXY": "*.example"], false),
            ("https://api.example:6443", ["HTTPS_PROXY": "http://p", "NO_PROXY": "api.example:443"], true),
            ("https://api.example:6443", ["HTTPS_PROXY": "http://p", "NO_PROXY": "api.example:6443"], false),
            ("https://10.1.2.3:6443", ["HTTPS_PROXY": "http://p", "NO_PROXY": "10.0.0.0/8"], false),
            ("https://11.1.2.3:6443", ["HTTPS_PROXY": "http://p", "NO_PROXY": "10.0.0.0/8,fd00::/8"], true),
            ("https://[fd00::1]:6443", ["HTTPS_PROXY": "http://p", "NO_PROXY": "fd00::/8"], false),
            ("https://10.1.2.3:6443", ["HTTPS_PROXY": "http://p", "NO_PROXY": "10.1.2.3:6443"], false),
            ("https://[fd00::1]:6443", ["HTTPS_PROXY": "http://p", "NO_PROXY": "[fd00::1]:443"], true),
        ])
    func environment(_ server: String, _ variables: [String: String], _ isUsed: Bool) throws {
        #expect((try Proxy(for: server) { variables[$0] } != nil) == isUsed)
    }

    @Test(
        "Requests go to the kubeconfig's proxy, which is asked for the server's address and not for the certificate's name"
    )
    func used() async throws {
        try await APIServer.with { proxy in
            let config = """
                current-context: c
                contexts: [{name: c, context: {cluster: k, user: u}}]
                clusters: [{name: k, cluster: {server: "https://192.0.2.1:6443", tls-server-name: kubernetes,
                proxy-url: "\(proxy.url)"}}]
                users: [{name: u, user: {token: t}}]
                """
            try await TemporaryFolder.with("kmesh-proxy") { folder in
                try Files.write(Array(config.utf8), to: folder.path + "/config")
                let access = try await ClusterAccess.find(
                    kubeconfig: folder.path + "/config", environment: { _ in nil })
                let client = try APIClient(access, userAgent: "test")
                // The server that stands in for a proxy does not know the request.
                await #expect(throws: APIError.self) { _ = try await client.get("/api/v1/pods") }
                #expect(proxy.requests.map { "\($0.verb) \($0.path)" } == ["CONNECT 192.0.2.1:6443"])
                await client.shutdown()
            }
        }
    }
}
