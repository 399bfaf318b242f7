import BypassAPI
import BypassClient
import StrictJSON
import Testing

@Suite(.timeLimit(.minutes(1)))
struct BypassClientTests {
    private static let answering: TestServer.Script = { requests in
        requests.last.map { .send([$0.statusAnswer]) } ?? .nothing
    }

    @Test func `Parameters that were not given are left out of the request`() async throws {
        let server = TestServer { requests in
            guard let request = requests.last else { return .nothing }
            return .send([request.answer(error: #"{"code":-32006,"message":"no"}"#)])
        }
        try await server.run { client in
            _ = try? await client.bypass(netns: "web", state: .off)
            _ = try? await client.bypass(
                netns: "web", state: .on, direction: .inbound, ttl: 90, owner: "me", reason: "test")
            _ = try? await client.list()
            await client.close()
            #expect(
                server.received == [
                    #"{"jsonrpc":"2.0","id":1,"method":"bypass","params":{"netns":"web","state":"off"}}"#,
                    #"{"jsonrpc":"2.0","id":2,"method":"bypass","params":{"netns":"web","state":"on","#
                        + #""direction":"inbound","ttl":90,"owner":"me","reason":"test"}}"#,
                    #"{"jsonrpc":"2.0","id":3,"method":"list"}"#,
                ])
        }
    }

    @Test func `Members that a newer daemon adds are ignored, and kept in the raw result`() async throws {
        let server = TestServer(Self.answering)
        try await server.run { client in
            let status = try await client.status(netns: "web")
            #expect(status == BypassStatus(netns: "web", inode: 4_026_532_281, state: .off, effective: false))
            let raw = try await client.call(method: "status", params: ["netns": "web"])
            #expect(raw.object?["later"] == ["added": 1])
            let line = try await client.answer(StatusMethod.self, with: .init(netns: "web")).json
            #expect(line.hasPrefix(#"{"netns":"web","inode":4026532281,"#))
            #expect(line.hasSuffix(#""later":{"added":1}}"#))
        }
    }

    @Test func `Answers in another order reach the tasks that asked`() async throws {
        let count = 20
        let server = TestServer { requests in
            requests.count == count ? .send(requests.reversed().map(\.statusAnswer)) : .nothing
        }
        try await server.run { client in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 1...count {
                    group.addTask { try await client.status(netns: "n\(number)").netns == "n\(number)" }
                }
                for try await isOwn in group { #expect(isOwn) }
            }
        }
    }

    @Test func `An answer may be much longer than a request`() async throws {
        let count = 1000
        let server = TestServer { requests in
            guard let request = requests.last else { return .nothing }
            let entry = """
                {"netns":"web","inode":1,"state":"on","effective":true,"rules":[],"warnings":[],\
                "reason":"\(String(repeating: "x", count: 256))"}
                """
            let list = Array(repeating: entry, count: count).joined(separator: ",")
            return .send([request.answer(result: #"{"bypasses":[\#(list)]}"#)])
        }
        try await server.run { client in
            let list = try await client.list()
            #expect(list.count == count)
        }
    }

    @Test func `A call that timed out neither hangs nor takes another one's answer`() async throws {
        let server = TestServer { requests in
            requests.count == 2 ? .send(requests.map(\.statusAnswer)) : .nothing
        }
        try await server.run(timeout: .seconds(2)) { client in
            await #expect(throws: BypassClientError.timedOut) { try await client.status(netns: "first") }
            let second = try await client.status(netns: "second")
            #expect(second.netns == "second")
        }
    }

    @Test func `A cancelled call ends at once, and the connection goes on`() async throws {
        let server = TestServer { requests in
            requests.last?.netns == "second" ? .send(requests.map(\.statusAnswer)) : .nothing
        }
        try await server.run { client in
            let call = Task { try await client.status(netns: "first") }
            while server.received.isEmpty { await Task.yield() }
            call.cancel()
            await #expect(throws: BypassClientError.cancelled) { try await call.value }
            let second = try await client.status(netns: "second")
            #expect(second.netns == "second")
        }
    }

    @Test func `A cancellation ends a call however early it comes`() async throws {
        let server = TestServer { _ in .nothing }
        try await server.run { client in
            await withTaskGroup(of: Bool.self) { group in
                for _ in 1...500 {
                    let call = Task { try await client.status(netns: "web") }
                    group.addTask {
                        call.cancel()
                        guard case .failure(let error as BypassClientError) = await call.result else { return false }
                        return error == .cancelled
                    }
                }
                for await isCancelled in group { #expect(isCancelled) }
            }
        }
    }

    @Test func `A task that is cancelled already asks nothing`() async throws {
        let server = TestServer(Self.answering)
        try await server.run { client in
            let call = Task {
                while !Task.isCancelled { await Task.yield() }
                return try await client.status(netns: "first")
            }
            call.cancel()
            await #expect(throws: BypassClientError.cancelled) { try await call.value }
            let second = try await client.status(netns: "second")
            #expect(second.netns == "second")
            #expect(server.received.count == 1)
        }
    }

    @Test func `Closing ends the calls that wait`() async throws {
        let server = TestServer { _ in .nothing }
        try await server.run { client in
            let call = Task { try await client.status(netns: "web") }
            while server.received.isEmpty { await Task.yield() }
            await client.close()
            await client.close()
            await #expect(throws: BypassClientError.connectionClosed) { try await call.value }
            await #expect(throws: BypassClientError.connectionClosed) { try await client.info() }
        }
    }
}
