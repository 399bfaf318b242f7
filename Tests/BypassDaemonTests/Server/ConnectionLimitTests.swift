import BypassAPI
import JSONRPC
import Linux
import StrictJSON
import Testing

@testable import BypassDaemon

extension ServerTests {
    @Suite struct ConnectionLimitTests {
        @Test(
            "Depth and batch are limits that a connection survives",
            arguments: [
                (String(repeating: "[", count: 33) + "\n", "depth"),
                ("[" + Array(repeating: "1", count: 65).joined(separator: ",") + "]\n", "batch"),
            ])
        func survivable(_ line: String, _ name: String) throws {
            try TestServer.with { server in
                let client = try server.connect()
                client.send(line)
                #expect(try limit(in: client.line()) == name)
                client.send(call("echo", id: 1))
                #expect(try client.ids(1) == [1])
            }
        }

        @Test("A line too long is answered as soon as it is known, and ends the connection", arguments: [true, false])
        func line(_ clientCloses: Bool) throws {
            try TestServer.with { server in
                let client = try server.connect()
                client.send(call("echo", id: 1) + String(repeating: "x", count: 65537))
                #expect(try client.ids(1) == [1])
                #expect(try limit(in: client.line()) == "line")
                client.send("xxx\n" + call("echo", id: 2))
                #expect(try client.remainingLines() == [], "nothing more is taken")
                if clientCloses { client.shutDownWriting() }
                server.waitForConnections(0)
            }
        }

        @Test("A line of just the limit is taken")
        func longestLine() throws {
            try TestServer.with { server in
                let client = try server.connect()
                let frame = call("echo", id: 1, "").utf8.count - 1
                client.send(call("echo", id: 1, String(repeating: "x", count: 65536 - frame)))
                #expect(try client.ids(1) == [1])
            }
        }

        @Test("A line that is begun has to end in time")
        func lineSeconds() throws {
            try TestServer.with {
                $0.lineSeconds = 1
            } _: { server in
                let client = try server.connect()
                client.send(call("echo", id: 1) + "{")
                #expect(try client.ids(1) == [1])
                #expect(try limit(in: client.line()) == "line-seconds")
                #expect(try client.remainingLines() == [])
                client.goAway()
                server.waitForConnections(0)
            }
        }

        @Test("A connection without a request gets an error and is closed, and a subscriber is not")
        func idle() throws {
            try TestServer.with {
                $0.idleSeconds = 1
            } _: { server in
                let (idle, subscriber) = (try server.connect(), try server.connect())
                subscriber.send(call("subscribe", id: 1))
                #expect(try subscriber.ids(1) == [1])
                let began = Instant.now
                idle.send(call("echo", id: 1))
                #expect(try idle.ids(1) == [1])
                #expect(try limit(in: idle.line()) == "idle-seconds")
                #expect(Instant.now - began >= .seconds(1))
                #expect(try idle.remainingLines() == [])
                subscriber.send(call("echo", id: 2))
                #expect(try subscriber.ids(1) == [2])
            }
        }

        @Test("More answers than the socket takes at once all arrive, in order", arguments: [false, true])
        func answersBeyondTheRoom(_ halfCloses: Bool) throws {
            try TestServer.with { server in
                let client = try server.connect(room: 10_000)
                let text = String(repeating: "x", count: 3000)
                client.send((1...30).map { call("echo", id: $0, text) }.joined())
                if halfCloses { client.shutDownWriting() }
                #expect(try client.ids(30) == (1...30).map { .number(JSONNumber($0)) })
                if halfCloses { #expect(try client.remainingLines() == []) }
                #expect(client.isClosed == halfCloses)
            }
        }

        @Test("Many requests at once are all answered")
        func many() throws {
            try TestServer.with { server in
                let client = try server.connect()
                try client.sendMeanwhile((1...20_000).map { call("refused", id: $0) }.joined())
                #expect(try client.ids(20_000) == (1...20_000).map { .number(JSONNumber($0)) })
            }
        }

        @Test("Nothing more is read while a client's request is executed")
        func backPressure() throws {
            try TestServer.with { server in
                let client = try server.connect()
                client.send(call("slow", id: 0))
                #expect(server.slow.texts(1) == ["x"])
                let sent = Monitor(false)
                let requests = (1...100).map { call("echo", id: $0, String(repeating: "x", count: 30_000)) }.joined()
                try client.sendMeanwhile(requests, then: { sent.update { $0 = true } })
                #expect(sent.wait(until: .now + .milliseconds(300)) { $0 ? () : nil } == nil, "it has not been read")
                server.slow.finishOne()
                #expect(try client.ids(101) == (0...100).map { .number(JSONNumber($0)) })
                #expect(sent.wait(until: testDeadline()) { $0 ? () : nil } != nil)
            }
        }
    }

    @Suite struct RequestRateTests {
        private static func limits(_ limits: inout Limits) { limits.requestsPerSecond = 3 }

        @Test("Past the rate a request is refused with its id, and the connection goes on")
        func refused() throws {
            try TestServer.with(Self.limits) { server in
                let client = try server.connect(uid: 7)
                client.send((1...4).map { call("echo", id: $0) }.joined() + "nonsense\n")
                let lines = try client.lines(5)
                #expect(lines.prefix(3).allSatisfy { $0.contains("\"result\"") })
                #expect(try limit(in: lines[3], id: RequestID(4)) == "requests-per-second")
                #expect(try limit(in: lines[4]) == "requests-per-second", "what is not a request costs as much")
                #expect(
                    eventually {
                        client.send(call("echo", id: 5))
                        return (try? client.line().contains("\"result\"")) == true
                    })
            }
        }

        @Test("A notification past the rate is not executed")
        func notification() throws {
            try TestServer.with(Self.limits) { server in
                let client = try server.connect(uid: 7)
                client.send((1...3).map { call("echo", id: $0) }.joined() + call("slow", id: nil) + call("echo", id: 4))
                #expect(try client.ids(4) == [1, 2, 3, 4])
                #expect(server.slow.texts == [])
            }
        }

        @Test("The entries of a batch count each")
        func batches() throws {
            try TestServer.with(Self.limits) { server in
                let client = try server.connect(uid: 7)
                client.send(batch((1...5).map { call("echo", id: $0) }))
                let answers = try JSONReader.read(try client.line()).array ?? []
                #expect(answers.map { $0.object?["id"] } == (1...5).map { .number(JSONNumber($0)) })
                #expect(answers.map { $0.object?["error"]?.object?["code"] } == [nil, nil, nil, -32007, -32007])
            }
        }

        @Test("A user's connections share one rate, and other users have their own")
        func shared() throws {
            try TestServer.with(Self.limits) { server in
                let clients = try [7, 7, 8].map { try server.connect(uid: $0) }
                let refused = try clients.map { client in
                    client.send(call("echo", id: 1) + call("echo", id: 2))
                    return try client.lines(2).map { $0.contains("requests-per-second") }
                }
                #expect(refused == [[false, false], [false, true], [false, false]])
                #expect(server.log.lines == ["request refused limit=requests-per-second uid=7"])
            }
        }

        @Test("Root may ask as much as it likes")
        func root() throws {
            try TestServer.with(Self.limits) { server in
                let client = try server.connect()
                client.send((1...50).map { call("echo", id: $0) }.joined())
                #expect(try client.lines(50).allSatisfy { $0.contains("\"result\"") })
            }
        }

        @Test("Blank lines cost what requests cost: past the rate the connection waits for each")
        func blankLines() throws {
            try TestServer.with {
                $0.requestsPerSecond = 10
            } _: { server in
                let client = try server.connect(uid: 7)
                let began = Instant.now
                client.send(String(repeating: "\n", count: 20) + call("echo", id: 1))
                #expect(try client.ids(1) == [1])
                // Ten at once, and a tenth of a second for each of the others.
                #expect(Instant.now - began >= .milliseconds(1000))
                #expect(server.log.lines.first == "request refused limit=requests-per-second uid=7")
            }
        }

        @Test("A client that goes away while it waits for the rate does not keep its place")
        func goneWhileWaiting() throws {
            try TestServer.with {
                $0.requestsPerSecond = 1
            } _: { server in
                let client = try server.connect(uid: 7)
                client.send(String(repeating: "\n", count: 10_000))
                #expect(!server.log.lines(1).isEmpty)
                client.goAway()
                server.waitForConnections(0)
            }
        }
    }
}
