import NIOCore
import NIOPosix
import Testing

@testable import BypassController

@Suite(.timeLimit(.minutes(1))) struct HealthServerTests {
    private static let host = "127.0.0.1"

    /// Runs a server for the time of `body`, which is given its port.
    private func serving(patience: TimeAmount, _ body: (_ port: Int) async throws -> Void) async throws {
        let server = try await HealthServer(host: Self.host, port: 0, patience: patience) { path in
            path == "/healthz" ? HealthAnswer(isGood: true, text: "ok\n") : nil
        }
        let task = Task { await server.run() }
        let port = try #require(server.address?.port)
        try await body(port)
        task.cancel()
        await task.value
        #expect(await HealthProbe.ask(host: Self.host, port: port, "/healthz").text.hasPrefix("no controller"))
    }

    private func connect(_ port: Int) async throws -> any Channel {
        try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connect(host: Self.host, port: port).get()
    }

    @Test("Who asks is answered")
    func answers() async throws {
        try await serving(patience: .hours(1)) { port in
            #expect(await HealthProbe.ask(host: Self.host, port: port, "/healthz?verbose").text == "ok\n")
            let answer = await HealthProbe.ask(host: Self.host, port: port, "/elsewhere")
            #expect(!answer.isGood && answer.text == "no such page\n")
        }
    }

    @Test("Who connects and says nothing is sent away after a while")
    func silent() async throws {
        try await serving(patience: .milliseconds(50)) { port in
            try await connect(port).closeFuture.get()
        }
    }

    @Test("Who has nothing to ask any more is let go at once")
    func mute() async throws {
        try await serving(patience: .hours(1)) { port in
            let caller = try await connect(port)
            try await caller.close(mode: .output)
            try await caller.closeFuture.get()
        }
    }
}
