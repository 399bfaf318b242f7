internal import Linux
import MeshSandbox
import TestSupport
import Testing

extension EndToEndTests {
    /// What programs make of proto-docs/openrpc.json, against a live daemon.
    @Suite struct OpenRPCClientTests {
        private static let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
            .joined(separator: "/")
        private static let folder = root + "/Tests/OpenRPC"
        private static let document = root + "/proto-docs/openrpc.json"
        private static let client = root + "/proto-docs/kmesh_bypass.py"

        /// Of the virtual environment that Tests/run.sh makes from requirements.txt.
        private static func installed(_ program: String) throws -> String {
            let path = root + "/.build-openrpc/bin/" + program
            try #require(Files.exists(path), "\(program) is not installed: Tests/run.sh does that")
            return path
        }

        /// The last line that a program prints.
        private func last(_ rig: Rig, _ command: [String]) async throws -> String {
            let ending = try await rig.sandbox.result(of: command)
            #expect(ending.code == 0, "\(ending)")
            return ending.output.split(separator: "\n").last.map(String.init) ?? ""
        }

        @Test func `The daemon refuses as invalid what the schema does, and nothing else`() async throws {
            let seed = ProcessEnvironment["KMESH_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 1...999_999)
            try await Rig.with { rig in
                let ending = try await rig.sandbox.result(
                    of: ["python3", Self.folder + "/calls.py", rig.socket, rig.sandbox.pod, "\(seed)", "900"])
                #expect(ending.output.hasPrefix("0 disagreements in 900 calls"), "KMESH_SEED=\(seed): \(ending)")
                // Traces end with the connection of the client.
                try await eventually("no trace is left", within: .seconds(10)) {
                    try await !rig.sandbox.run(["nft", "list", "tables"], in: .pod).contains("kmesh_bypass_trace")
                }
            }
        }

        @Test func `The client in one file has the document's types, and works`() async throws {
            try await Rig.with { rig in
                let printed = try await last(
                    rig, ["python3", Self.folder + "/client.py", rig.socket, rig.sandbox.pod])
                #expect(printed == "ok")
            }
        }

        @Test func `The client in one file has no wrong type`() async throws {
            try await Rig.withoutDaemon { rig in
                let types = try await last(
                    rig, [try Self.installed("mypy"), "--strict", "--cache-dir", rig.folder.path, Self.client])
                #expect(types.hasPrefix("Success"))
            }
        }

        @Test func `A generator makes a Python client that has no wrong type, and works`() async throws {
            let python = try Self.installed("python")
            try await Rig.with { rig in
                let clients = rig.folder.path + "/clients"
                _ = try await last(rig, [python, Self.folder + "/generate.py", Self.document, clients])
                let generated = clients + "/python/kmesh-bypassd-http-client"
                let environment = ["env", "PYTHONPATH=\(generated)", "MYPYPATH=\(generated):\(Self.folder)/stubs"]
                // A method's body is `...` in it, and the library that it uses has no types.
                let types = try await last(
                    rig,
                    environment + [
                        try Self.installed("mypy"), "--disable-error-code", "empty-body", "--disable-error-code",
                        "import-untyped", "--cache-dir", rig.folder.path, generated + "/kmesh_bypassd_http_client",
                        Self.folder + "/generated_client.py",
                    ])
                #expect(types.hasPrefix("Success"))
                let call = [
                    python, Self.folder + "/generated_client.py", rig.socket, rig.sandbox.pod, Self.document,
                    rig.sandbox.peer,
                ]
                #expect(try await last(rig, environment + call) == "ok")
            }
        }
    }
}
