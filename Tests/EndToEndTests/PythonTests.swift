import MeshSandbox
import TestSupport
import Testing

extension EndToEndTests {
    /// A client that fits on a page of documentation.
    @Suite struct PythonTests {
        private static let client = """
            import json, socket, sys

            def call(method, **params):
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(sys.argv[1])
                    s.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode() + b"\\n")
                    return json.loads(s.makefile().readline())


            """

        @Test func tenLinesAreEnough() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.nftables)
                let on = try await rig.python(
                    Self.client + """
                        answer = call("bypass", netns=sys.argv[2], state="on", direction="outbound", owner="naïve \\U0001F40D")
                        print(answer["result"]["state"], answer["result"]["effective"], answer["id"])
                        print(call("status", netns=sys.argv[2])["result"]["owner"] == "naïve \\U0001F40D")
                        print(len(call("list")["result"]["bypasses"]), call("info")["result"]["protocol"])
                        print(call("status", netns="none-of-these")["error"]["data"]["kind"])
                        """)
                #expect(on == ["on True 1", "True", "1 1", "netns-not-found"])
                #expect(try await rig.sandbox.paths == .bypassed("outbound"))
                let off = try await rig.python(
                    Self.client + #"print(call("bypass", netns=sys.argv[2], state="off")["result"]["state"])"#)
                #expect(off == ["off"])
                #expect(try await rig.sandbox.paths == .sidecar)
            }
        }
    }
}
