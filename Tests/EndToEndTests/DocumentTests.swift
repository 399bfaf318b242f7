import MeshSandbox
import NIOCore
import StrictJSON
import TestSupport
import Testing

extension EndToEndTests {
    @Suite struct DocumentTests {
        /// The package's folder, from this file's place in it.
        private static let package = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
            .joined(separator: "/")

        @Test func theDaemonGivesTheDocumentThatIsPublished() async throws {
            try await Rig.with { rig in
                let published = try await rig.sandbox.run(
                    ["cat", Self.package + "/proto-docs/openrpc.json"], in: .host)
                let given = try await rig.call("rpc.discover")
                #expect(try JSONReader.read(published) == given)
            }
        }

        @Test func everyMethodOfTheDocumentIsThere() async throws {
            try await Rig.with { rig in
                let methods = try await rig.call("rpc.discover").object?["methods"]?.array ?? []
                let names = methods.compactMap { $0.object?["name"]?.string }
                #expect(
                    names == [
                        "bypass", "extend", "status", "explain", "trace", "list", "subscribe", "clear", "metrics",
                        "info", "rpc.discover",
                    ])
                for name in names {
                    let refusal = try await rig.refusal(name, [])
                    #expect(refusal?.code != -32601, "\(name)")
                }
            }
        }

        /// A block of the README that begins with that line.
        private static func quoted(_ first: String, _ rig: Rig) async throws -> [Substring] {
            let text = try await rig.sandbox.run(["cat", package + "/README.md"], in: .host)
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            let start = try #require(lines.firstIndex { $0.hasPrefix(first) }, "\(first) is not in the README")
            return Array(lines[start...].prefix { $0 != "```" })
        }

        /// What differs from run to run is left out: numbers, and how far away a time is.
        private static func steady(_ line: some StringProtocol) -> String {
            String(line).replacing(#/\((in )?[0-9]+[smh][^)]*\)/#) { _ in "()" }.replacing(#/[0-9]+/#) { _ in "0" }
        }

        @Test func theReadmeShowsWhatTheClientPrints() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let shown = try await rig.atTerminal(
                    width: 100, ["on", rig.sandbox.pod, "--for", "15m", "--reason", "INC-4711"],
                    environment: ["TERM=dumb", "SUDO_USER=alice"])
                let quoted = try await Self.quoted("state:      on, since ", rig)
                #expect(
                    quoted.map(Self.steady) == shown.map { Self.steady($0.replacing(rig.sandbox.pod, with: "web")) })
                let demo = try await rig.sandbox.result(of: [rig.controlTool, "demo", "--socket", rig.socket])
                let table = try await Self.quoted("Who answers a new connection:", rig).joined(separator: "\n")
                #expect(demo.output.contains(table), "\(demo)")
            }
        }
    }
}
