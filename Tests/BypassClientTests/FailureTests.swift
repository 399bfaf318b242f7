import BypassAPI
import Glibc
import JSONRPC
import NIOCore
import StrictJSON
import Testing

@testable import BypassClient

@Suite(.timeLimit(.minutes(1)))
struct FailureTests {
    @Test func `Without a socket no daemon runs`() async throws {
        try await withTemporaryFolder { folder in
            let path = folder + "/daemon.sock"
            await #expect(throws: BypassClientError.daemonNotRunning(path: path)) {
                try await BypassClient.connect(to: path)
            }
        }
    }

    @Test func `A socket file without a listener is not a daemon either`() async throws {
        try await withTemporaryFolder { folder in
            let path = folder + "/daemon.sock"
            // To connect to a file that is not a socket is refused in the same way as to one that was left behind.
            close(unsafe open(path, O_CREAT | O_WRONLY, 0o600))
            await #expect(throws: BypassClientError.daemonNotRunning(path: path)) {
                try await BypassClient.connect(to: path)
            }
        }
    }

    @Test(arguments: [
        (ENOENT, BypassClientError.daemonNotRunning(path: "s")),
        (ECONNREFUSED, .daemonNotRunning(path: "s")),
        (EACCES, .accessDenied(path: "s")),
        (EPERM, .accessDenied(path: "s")),
        (EAGAIN, .connectFailed(path: "s", reason: "busy")),
    ])
    func `Errors of connect() are distinguished`(errno: CInt, expected: BypassClientError) {
        #expect(BypassClientError(connectingTo: "s", errno: errno, reason: "busy") == expected)
    }

    @Test func `A path too long for a socket is said to be so`() async throws {
        let path = String(repeating: "x", count: 200)
        await #expect(
            throws: BypassClientError.connectFailed(path: path, reason: "the path is longer than a socket's may be")
        ) {
            try await BypassClient.connect(to: path)
        }
    }

    @Test func `The daemon's own errors keep what they say for people and for programs`() async throws {
        let refusal = #"""
            {"code":-32005,"message":"cannot enter web",
            "data":{"kind":"kernel-refused","operation":"setns","errno":"EPERM","later":true}}
            """#.filter { $0 != "\n" }
        let server = TestServer { requests in
            requests.last.map { .send([$0.answer(error: refusal)]) } ?? .nothing
        }
        try await server.run { client in
            let error = try await #require(throws: BypassClientError.self) { try await client.status(netns: "web") }
            guard case .refused(let refusal) = error else { return #expect(Bool(false), "not refused: \(error)") }
            #expect(error.description == "cannot enter web")
            #expect(refusal.known == .kernelRefused)
            #expect(refusal.kind == "kernel-refused")
            #expect(refusal.details == ErrorData(.kernelRefused, operation: "setns", errno: "EPERM"))
            #expect(refusal.data?.object?["later"] == true)
        }
    }

    @Test(arguments: ErrorCode.allCases)
    func `Each code is known by its number alone`(code: ErrorCode) {
        let error = DaemonError(ErrorObject(code: code.rawValue, message: "no"))
        #expect(error.known == code)
        #expect(error.kind == code.kind)
    }

    @Test func `A daemon that goes away ends all calls, those to come too`() async throws {
        let server = TestServer { requests in
            requests.count == 2 ? .closing(#"{"jsonrpc":"2.0","id":1,"#) : .nothing
        }
        try await server.run { client in
            let first = Task { try await client.status(netns: "a") }
            let second = Task { try await client.status(netns: "b") }
            await #expect(throws: BypassClientError.connectionClosed) { try await first.value }
            await #expect(throws: BypassClientError.connectionClosed) { try await second.value }
            await #expect(throws: BypassClientError.connectionClosed) { try await client.info() }
        }
    }

    private static let limit = """
        {"jsonrpc":"2.0","id":null,"error":{"code":-32007,"message":"too many connections",\
        "data":{"kind":"limit-exceeded","limit":"connections"}}}
        """

    /// The daemon may refuse a connection before or after the first request is on its way.
    @Test(arguments: [0, 1])
    func `Every caller gets the error of a refused connection`(requestCount: Int) async throws {
        let server = TestServer { requests in
            requests.count == requestCount ? .closing(Self.limit + "\n") : .nothing
        }
        try await server.run { client in
            for _ in 1...2 {
                let error = try await #require(throws: BypassClientError.self) { try await client.info() }
                guard case .refused(let refusal) = error else { return #expect(Bool(false), "not refused: \(error)") }
                #expect(refusal.details == ErrorData(.limitExceeded, limit: "connections"))
            }
        }
    }

    @Test(arguments: [
        "no JSON", #"{"jsonrpc":"2.0","id":1}"#, #"{"jsonrpc":"2.0","id":2,"result":1}"#,
        #"{"jsonrpc":"2.0","id":"1","result":1}"#, #"{"jsonrpc":"2.0","id":null,"result":1}"#,
        #"{"jsonrpc":"2.0","id":1,"result":{"name":1}}"#,
    ])
    func `Nonsense is reported, not waited on`(answer: String) async throws {
        let server = TestServer { requests in requests.isEmpty ? .nothing : .send([answer]) }
        try await server.run { client in
            let error = try await #require(throws: BypassClientError.self) { try await client.info() }
            guard case .invalidAnswer = error else { return #expect(Bool(false), "\(error)") }
        }
    }
}
