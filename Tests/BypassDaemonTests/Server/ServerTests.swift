import BypassAPI
import Glibc
import JSONRPC
import StrictJSON
import Testing

@testable import BypassDaemon
@testable import Linux

/// The server on real sockets with real threads, with methods that ask no kernel. One test at a time, since some count
/// the threads and descriptors of the whole process.
@Suite(.serialized) struct ServerTests {}

extension ServerTests {
    /// From the listener on.
    @Suite struct AcceptorTests {
        private static let path = temporaryPath("server-tests")

        /// Runs `body` with a server that listens on a socket of its own.
        private func withListener(
            _ name: String, _ change: (inout Limits) -> Void = { _ in },
            _ body: (_ path: String, TestServer) throws -> Void
        ) throws {
            let path = Self.path + name
            let listener = try UnixSocket.listen(on: path, group: nil)
            defer { try? Files.remove(path) }
            try TestServer.with(change) { server in
                let acceptor = try Thread.start("acceptor") { server.acceptor.run(listener) }
                defer {
                    listener.stop()
                    acceptor.join()
                }
                try body(path, server)
            }
        }

        private func connect(_ path: String) throws -> TestClient {
            let number = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
            let client = TestClient(OwnedDescriptor(adopting: number))
            var address = try #require(UnixAddress(path))
            try systemCall("connect") { unsafe address.with { unsafe Glibc.connect(number, $0, $1) } }
            return client
        }

        @Test("A client that says all it wants and shuts down writing gets every answer")
        func pipelined() throws {
            try withListener("-pipelined") { path, _ in
                let client = try connect(path)
                let text = String(repeating: "x", count: 10_000)
                try client.sendMeanwhile((1...200).map { call("echo", id: $0, text) }.joined())
                #expect(try client.ids(200) == (1...200).map { .number(JSONNumber($0)) })
                client.shutDownWriting()
                #expect(try client.remainingLines() == [])
            }
        }

        @Test(
            "A connection too many learns which limit it is beyond",
            arguments: [("connections", 1, 99), ("user-connections", 99, 1)])
        func tooMany(_ name: String, _ connections: Int, _ userConnections: Int) throws {
            try withListener("-\(name)") {
                ($0.connections, $0.userConnections) = (connections, userConnections)
            } _: { path, _ in
                // Root, if that is who runs the tests, has some beyond the limit.
                let reserve = name == "connections" && geteuid() == 0 ? ConnectionLimiter.rootReserve : 0
                let clients = try (0...reserve).map { _ in try connect(path) }
                for client in clients {
                    client.send(call("echo", id: 1))
                    #expect(try client.ids(1) == [1])
                }
                let refused = try connect(path)
                #expect(try limit(in: refused.line()) == name)
                #expect(try refused.remainingLines() == [])
            }
        }

        @Test("Room that a client leaves is the next one's")
        func roomIsGivenBack() throws {
            try withListener("-room") {
                $0.userConnections = 1
            } _: { path, server in
                for id in 1...5 {
                    let client = try connect(path)
                    client.send(call("echo", id: id))
                    #expect(try client.ids(1) == [.number(JSONNumber(id))])
                    client.goAway()
                    server.waitForConnections(0)
                }
            }
        }

        @Test(
            "After 1,000 connections there are as many threads and descriptors as before, and never more than allowed")
        func threadsAndDescriptors() throws {
            try withListener("-thousand") {
                ($0.connections, $0.userConnections) = (20, 30)
            } _: { path, server in
                let before = ProcessCounts()
                var most = 0
                let allowed = 20 + ConnectionLimiter.rootReserve + 2 * ConnectionLimiter.maxLingering
                for round in 0..<20 {
                    let clients = try (0..<50).map { _ in try connect(path) }
                    for (number, client) in clients.enumerated() {
                        // Some say nothing, some half a line, some ask, and some of those wait for no answer.
                        if number % 4 == 1 { client.send("{\"jsonrpc\":") }
                        if number % 4 >= 2 { client.send(call("echo", id: number)) }
                        if number % 4 == 3 { _ = try client.line() }
                    }
                    most = max(most, ProcessCounts.connectionThreads)
                    if round == 19 { #expect(most > 1) }
                    for client in clients { client.goAway() }
                    server.waitForConnections(0)
                }
                #expect(most <= allowed)
                #expect(eventually { ProcessCounts.connectionThreads == 0 })
                #expect(eventually { ProcessCounts().isWithin(before) }, "\(ProcessCounts()), before \(before)")
            }
        }
    }
}

/// What this process holds.
struct ProcessCounts {
    let threads = count("/proc/self/task")
    let descriptors = count("/proc/self/fd")

    /// Threads that serve a connection.
    static var connectionThreads: Int {
        ((try? Files.entries(in: "/proc/self/task")) ?? []).count {
            (try? Files.text("/proc/self/task/\($0.name)/comm")) == "connection\n"
        }
    }

    func isWithin(_ other: ProcessCounts) -> Bool {
        threads <= other.threads && descriptors <= other.descriptors
    }

    private static func count(_ folder: String) -> Int { (try? Files.entries(in: folder).count) ?? 0 }
}
