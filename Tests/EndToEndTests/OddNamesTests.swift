import MeshSandbox
import TestSupport
import Testing

extension EndToEndTests {
    /// A name that another program gave a chain in a pod is shown to an administrator on the node.
    @Suite struct OddNamesTests {
        @Test(arguments: RawRuleset.names)
        func whatAChainIsCalledDoesNothingToATerminal(_ name: String) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.netlink(RawRuleset.redirect(name, priority: -150), in: rig.sandbox.pod)
                for words in [["on", rig.sandbox.pod], ["status", rig.sandbox.pod], ["list"]] {
                    // 2: not all of it is bypassed.
                    let command = ["sh", "-c", "\"$@\" || test $? = 2", "sh", rig.controlTool] + words
                    let ending = try await rig.sandbox.result(of: command + ["--socket", rig.socket])
                    #expect(ending.code == 0, "\(ending)")
                    #expect(ending.output.contains("earlier-redirect"), "\(ending)")
                    #expect(!ending.output.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" }, "\(ending)")
                    #expect(!ending.output.contains("\nline"), "a line that is part of a name: \(ending)")
                }
            }
        }
    }
}
