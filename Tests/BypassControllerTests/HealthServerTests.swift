import NIOCore
import NIOPosix
import Testing

@testable import BypassController

@Suite(.timeLimit(.minutes(1))) struct HealthServerTests {
    private static let host = "127.0.0.1"

    /// Runs a server while `body` runs, with the server's port.
    private func serving(timeout: TimeAmount, _ body: (_ port: Int) async throws -> Void) async throws {
        let server = try await HealthServer(host: Self.host, port: 0, connectionTimeout: timeout) { path in
            path == "/healthz" ? HealthResponse(isHealthy: true, text: "ok\n") : nil
        }
        let task = Task { await server.run() }
        let port = try #require(server.address?.port)
        try await body(port)
        task.cancel()
        await task.value
        #expect(await HealthProbe.get(host: Self.host, port: port, "/healthz").text.hasPrefix("no controller"))
    }

    private func connect(_ port: Int) async throws -> any Channel {
        try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connect(host: Self.host, port: port).get()
    }

    @Test("A request gets its response")
    func responses() async throws {
        try await serving(timeout: .hours(1)) { port in
            #expect(await HealthProbe.get(host: Self.host, port: port, "/healthz?verbose").text == "ok\n")
            let response = await HealthProbe.get(host: Self.host, port: port, "/elsewhere")
            #expect(!response.isHealthy && response.text == "no such page\n")
        }
    }

    @Test("A connection without a request is closed after the timeout")
    func silent() async throws {
        try await serving(timeout: .milliseconds(50)) { port in
            try await connect(port).closeFuture.get()
        }
    }

    @Test("A connection that is half-closed without a request is closed at once")
    func halfClosed() async throws {
        try await serving(timeout: .hours(1)) { port in
            let client = try await connect(port)
            try await client.close(mode: .output)
            try await client.closeFuture.get()
        }
    }
}
