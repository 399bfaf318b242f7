import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension EndToEndTests {
    @Suite struct SocatTests {
        @Test func pipelinedLinesAreAnsweredInOrder() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                // CRLF and blank lines are taken, and a last line without its end.
                let input = [
                    rig.bypassLine("1", "on"), rig.statusLine(#""two""#), "", rig.bypassLine("-3", "off"), " \t",
                    rig.statusLine("null") + "\r", rig.bypassLine("12345678901234567890", "on"),
                ]
                let answers = try await rig.socat(input.joined(separator: "\n"))
                #expect(answers.map(\.state) == ["on", "on", "off", "off", "on"])
                #expect(answers.compactMap(\.id).map { "\($0)" } == Self.ids.map { "\($0)" })
                #expect(try await rig.sandbox.paths == .app)
            }
        }

        private static let ids: [JSONValue] = [
            1, "two", -3, .null, .number(JSONNumber(12_345_678_901_234_567_890 as UInt64)),
        ]

        @Test func aHundredRequestsOfOneClientAreAllAnswered() async throws {
            try await Rig.with { rig in
                let input = (1...100).map { rig.bypassLine("\($0)", $0 % 2 == 0 ? "off" : "on") + "\n" }.joined()
                let answers = try await rig.socat(input)
                #expect(answers.map(\.id) == (1...100).map { .number(JSONNumber($0)) })
                #expect(answers.enumerated().allSatisfy { $1.state == ($0 % 2 == 0 ? "on" : "off") })
                #expect(try await rig.sandbox.rules.isEmpty)
            }
        }

        @Test func aNotificationIsCarriedOutAndNotAnswered() async throws {
            try await Rig.with { rig in
                let answers = try await rig.socat(
                    [rig.bypassLine(nil, "on"), rig.line(nil, "nothing"), rig.statusLine("5")].joined(separator: "\n"))
                #expect(answers.map(\.id) == [5] && answers.first?.state == "on")
                #expect(try await rig.socat(rig.bypassLine(nil, "off") + "\n") == [])
                #expect(try await rig.status().state == "off")
            }
        }

        @Test func aBatchIsAnsweredByOneArray() async throws {
            try await Rig.with { rig in
                let batch = [
                    rig.bypassLine("1", "on"), rig.bypassLine(nil, "off"), rig.statusLine("2"),
                    rig.line("3", "nothing"), "4",
                ]
                let answers = try await rig.socat("[" + batch.joined(separator: ",") + "]\n" + rig.statusLine("9"))
                #expect(answers.count == 2)
                let array = try #require(answers.first?.array)
                #expect(array.map(\.id) == [1, 2, 3, .null])
                #expect(array.map(\.state) == ["on", "off", nil, nil])
                #expect(try array.map { try $0.refusal?.code } == [nil, nil, -32601, -32600])
                #expect(try await rig.socat("[\(rig.bypassLine(nil, "off")),\(rig.bypassLine(nil, "on"))]\n") == [])
                #expect(try await rig.status().state == "on")
                #expect(try await rig.socat("[]\n").map { try $0.refusal?.code } == [-32600])
            }
        }

        @Test func garbageIsAnsweredAndTheNextLineTaken() async throws {
            try await Rig.with { rig in
                let all = ["garbage", "{", "[1,", #"{"jsonrpc":"2.0" "id":1}"#, "\u{1}", #"{"a":1,"a":2}"#, "nul"]
                for garbage in all {
                    let answers = try await rig.socat(garbage + "\n" + rig.line("7", "info") + "\n")
                    #expect(try answers.map { try $0.refusal?.code } == [-32700, nil], "\(garbage)")
                    #expect(answers.map(\.id) == [.null, 7], "\(garbage)")
                }
            }
        }

        @Test func whatIsWrongWithARequestIsFoundBeforeAnythingIsDone() async throws {
            try await Rig.with { rig in
                let pod = rig.sandbox.pod
                let wrong = [
                    #"{"netns":"\#(pod)","state":"on","direction":"sideways"}"#,
                    #"{"netns":"\#(pod)","state":"on","tll":5}"#,
                    #"{"netns":"\#(pod)","state":"ON"}"#,
                    #"{"netns":"\#(pod)","state":true}"#,
                    #"{"netns":"\#(pod)"}"#,
                    #"{"netns":["\#(pod)"],"state":"on"}"#,
                    #"{"netns":"\#(pod)","state":"on","owner":""}"#,
                    #"{"netns":"\#(pod)","state":"on","owner":"\#(String(repeating: "x", count: 257))"}"#,
                    #"{"netns":"\#(pod)","state":"on","reason":"\#(String(repeating: "x", count: 257))"}"#,
                    #"{"netns":"\#(pod)","state":"off","ttl":5}"#,
                    #"{"netns":"\#(pod)","state":"off","direction":"both"}"#,
                    #"["\#(pod)"]"#, #"["\#(pod)","on","both",5,"me","why","more"]"#, "[]", "{}",
                ]
                let input = wrong.map { rig.line("1", "bypass", $0) + "\n" }.joined()
                let answers = try await rig.socat(input)
                #expect(try answers.map { try $0.refusal?.code } == wrong.map { _ in -32602 }, "\(answers)")
                #expect(try await rig.status().state == "off")
                #expect(try await rig.sandbox.rules.isEmpty)
            }
        }

        /// The line of the documentation, as a user pastes it into a shell.
        @Test func theLineThatPeoplePasteWorks() async throws {
            try await Rig.with { rig in
                let line = "echo '\(rig.bypassLine("1", "on"))' | socat - UNIX-CONNECT:\(rig.socket)"
                let output = try await rig.sandbox.run(["sh", "-c", line], in: .host)
                #expect(try rig.lines(output).map(\.state) == ["on"])
            }
        }
    }
}
