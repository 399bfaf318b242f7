import Linux
import Logging
import NIOCore
import NIOPosix
import StrictJSON
import Testing

@testable import BypassAPI
@testable import BypassDaemon

/// The server on a real socket, with methods that ask no kernel.
@Suite struct ServerTests {
    private static let path = "/tmp/kmesh-bypass-server-tests-\(BootClock.now).sock"

    /// Runs `body` with a server that listens on a socket of its own.
    private func withServer(
        _ name: String, _ limits: Limits = Limits(), _ body: (_ path: String, _ server: Server) async throws -> Void
    ) async throws {
        let path = Self.path + name
        let listener = try UnixSocket.listen(on: path, group: nil)
        var router = Router(counted: DaemonMetrics()) { _, _, _ in nil }
        router.now(EchoMethod.self) { parameters, _ in parameters }
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let server = Server(router: router, limits: limits, counted: DaemonMetrics(), logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await NIOThreadPool.singleton.runIfActive {
                    server.serve(listener, on: MultiThreadedEventLoopGroup.singleton)
                }
            }
            do {
                try await body(path, server)
            } catch {
                Issue.record(error)
            }
            listener.stop()
            try await group.waitForAll()
        }
        await server.finish()
        try Files.remove(path)
    }

    /// Connects, says all of `text`, and reads until the server closes.
    private func talk(_ path: String, _ text: String, halfClose: Bool = true) async throws -> String {
        try await connect(path).executeThenClose { inbound, outbound in
            if !text.isEmpty { try await outbound.write(ByteBuffer(string: text)) }
            if halfClose { outbound.finish() }
            var received = ByteBuffer()
            for try await bytes in inbound { received.writeImmutableBuffer(bytes) }
            return String(buffer: received)
        }
    }

    private func connect(_ path: String) async throws -> NIOAsyncChannel<ByteBuffer, ByteBuffer> {
        try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup).connect(unixDomainSocketPath: path) {
            channel in
            channel.eventLoop.makeCompletedFuture {
                let configuration = NIOAsyncChannel<ByteBuffer, ByteBuffer>.Configuration(
                    isOutboundHalfClosureEnabled: true)
                return try NIOAsyncChannel(wrappingChannelSynchronously: channel, configuration: configuration)
            }
        }
    }

    @Test("A client that says all it wants and shuts down writing gets every answer", .timeLimit(.minutes(1)))
    func pipelined() async throws {
        try await withServer("-pipelined") { path, _ in
            let text = String(repeating: "x", count: 10_000)
            let received = try await talk(path, (1...200).map { call("echo", id: $0, text) }.joined())
            let ids = try received.split(separator: "\n").map { line in
                try JSONReader.read(String(line)).object?["id"]
            }
            #expect(ids == (1...200).map { .number(JSONNumber($0)) })
        }
    }

    @Test(
        "A connection too many is told which limit it is beyond", .timeLimit(.minutes(1)),
        arguments: [
            ("connections", 1, 99), ("user-connections", 9, 1),
        ])
    func tooMany(_ name: String, _ connections: Int, _ userConnections: Int) async throws {
        var limits = Limits()
        limits.connections = connections
        limits.userConnections = userConnections
        try await withServer("-\(name)", limits) { path, _ in
            // Who has a single connection keeps it; and root, if that is who runs the tests, has some beyond the limit.
            let count = 1 + (name == "connections" ? Seats.reserve : 0)
            try await holding(count, path) {
                let refusal = try await talk(path, "", halfClose: false)
                #expect(refusal.contains("\"limit\":\"\(name)\""))
            }
        }
    }

    /// Keeps so many connections while `body` runs, as far as the server lets it.
    private func holding(_ count: Int, _ path: String, _ body: () async throws -> Void) async throws {
        try await connect(path).executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: call("echo", id: 1)))
            for try await _ in inbound { break }
            if count > 1 { try await holding(count - 1, path, body) } else { try await body() }
        }
    }

    @Test("Room that a client leaves is the next one's", .timeLimit(.minutes(1)))
    func roomIsGivenBack() async throws {
        var limits = Limits()
        limits.connections = 1
        try await withServer("-room", limits) { path, _ in
            for id in 1...5 {
                // The server may still be busy to notice that the last client has gone.
                var received = ""
                for _ in 0..<100 where !received.contains("\"result\"") {
                    received = (try? await talk(path, call("echo", id: id))) ?? ""
                    if !received.contains("\"result\"") { try await Task.sleep(for: .milliseconds(10)) }
                }
                #expect(received.contains("\"id\":\(id),\"result\""))
            }
        }
    }
}
