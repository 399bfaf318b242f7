import Linux
import MeshSandbox
import TestSupport
import Testing

extension EndToEndTests {
    /// The pages quote what the daemon answers, but for numbers, times and the name of the namespace.
    @Suite struct QuotedAnswerTests {
        private static let folder =
            #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
            + "/proto-docs/"

        private static func lines(of page: String) throws -> Set<String> {
            Set(try Files.text(folder + page).split(separator: "\n").map { steady($0) })
        }

        private static func steady(_ line: some StringProtocol) -> String {
            String(line).replacing(#/[0-9]+/#) { _ in "0" }
        }

        private func answer(_ rig: Rig, _ request: String) async throws -> String {
            let answer = try await rig.daemon.call(request.replacing("web", with: rig.sandbox.pod))
            return Self.steady(answer.replacing(rig.sandbox.pod, with: "web"))
        }

        @Test func theErrors() async throws {
            try await Rig.with { rig in
                let quoted = try Self.lines(of: "errors.md")
                let info = #"{"jsonrpc":"2.0","id":1,"method":"info"}"#
                for request in [
                    #"{"jsonrpc":"2.0","id":1,"method":"status","params":["gone"]}"#,
                    #"{"jsonrpc":"2.0","id":1,"id":2,"method":"info"}"#,
                    #"{"id":1,"method":"info"}"#,
                    #"{"jsonrpc":"2.0","id":1,"method":"stat"}"#,
                    #"{"jsonrpc":"2.0","id":1,"method":"bypass","params":["web","off",null,900]}"#,
                    #"{"jsonrpc":"2.0","id":1,"method":"status","params":["pod:3f1c0000-0000"]}"#,
                    #"{"jsonrpc":"2.0","id":1,"method":"bypass","params":["pid:\#(try rig.daemon.pid)","on"]}"#,
                    "[" + [String](repeating: info, count: 65).joined(separator: ",") + "]",
                    #"{"jsonrpc":"2.0","id":1,"method":"bypass","params":{"netns":"web","state":"on","ifGeneration":1}}"#,
                    #"{"jsonrpc":"2.0","id":1,"method":"bypass","params":{"netns":"web","state":"on","expectAddresses":["10.244.1.7"]}}"#,
                ] {
                    let given = try await answer(rig, request)
                    #expect(quoted.contains(given), "\(request.prefix(120)): \(given)")
                }
            }
        }

        @Test func theResults() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let quoted = try Self.lines(of: "methods.md")
                for request in [
                    #"{"jsonrpc":"2.0","id":1,"method":"bypass","params":{"netns":"web","state":"on","direction":"inbound","ttl":900,"owner":"kubernetes:default/web-0","reason":"INC-4711"}}"#,
                    #"{"jsonrpc":"2.0","id":4,"method":"bypass","params":["web","off"]}"#,
                ] {
                    let given = try await answer(rig, request)
                    #expect(quoted.contains(given), "\(given)")
                }
                try await rig.on()
                let cleared = try await answer(rig, #"{"jsonrpc":"2.0","id":1,"method":"clear"}"#)
                #expect(quoted.contains(cleared), "\(cleared)")
            }
        }
    }
}
