import MeshSandbox
import TestSupport
import Testing

extension EndToEndTests {
    /// proto-docs/coming-from-kmesh.md, pasted: its commands for a node, in a pod in which Kmesh's own have been executed.
    @Suite struct ComingFromKmeshTests {
        private static let page =
            #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
            .joined(separator: "/") + "/proto-docs/coming-from-kmesh.md"

        private static func lines(_ page: String, beginningWith program: String) -> [String] {
            page.split(separator: "\n").map { $0.drop { $0 == " " } }.filter { $0.hasPrefix(program + " ") }.map(
                String.init)
        }

        @Test func theStepsRemoveWhatKmeshLeft() async throws {
            try await Rig.with { rig in
                let page = try await rig.sandbox.run(["cat", Self.page], in: .host)
                try await rig.sandbox.install(.iptables)
                let before = try await rig.sandbox.rules
                for line in Self.lines(page, beginningWith: "iptables") {
                    try await rig.sandbox.run(["sh", "-c", line], in: .pod)
                }
                #expect(try await rig.sandbox.whoAnswers(.outbound, .ipv4) == .app)
                var outputs: [String] = []
                for line in Self.lines(page, beginningWith: "kmesh-bypassctl") {
                    let more = line.contains(" doctor") ? " --bpffs \(rig.options.bpffs)" : ""
                    let command = line.replacing("kmesh-bypassctl", with: rig.controlTool)
                        .replacing("pod:$UID", with: rig.sandbox.pod)
                    // What doctor finds is not a failure of the command.
                    outputs.append(
                        try await rig.sandbox.run(
                            ["sh", "-c", "\(command) --socket \(rig.socket)\(more) || :"], in: .host))
                }
                try #require(outputs.count == 3)
                let rules = ["PREROUTING", "OUTPUT"].map { "ip nat \($0): -A \($0) -j RETURN" }
                for (output, rule) in rules.flatMap({ rule in outputs.map { ($0, rule) } }) {
                    #expect(output.contains(rule), "\(rule) in \(output)")
                }
                #expect(
                    outputs[0].contains("kmesh-bypassctl off /run/netns/\(rig.sandbox.pod) --foreign"), "\(outputs[0])")
                #expect(outputs[2].contains("removed: \(rules[0])"), "\(outputs[2])")
                #expect(try await rig.sandbox.rules == before)
                #expect(try await rig.sandbox.paths == .sidecar)
            }
        }
    }
}
