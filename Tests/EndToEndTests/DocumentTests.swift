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
                        "bypass", "extend", "status", "explain", "list", "subscribe", "clear", "metrics", "info",
                        "rpc.discover",
                    ])
                for name in names {
                    let refusal = try await rig.refusal(name, [])
                    #expect(refusal?.code != -32601, "\(name)")
                }
            }
        }
    }
}
