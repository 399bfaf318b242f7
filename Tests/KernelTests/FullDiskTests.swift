import MeshSandbox
import TestSupport
import Testing

extension KernelTests {
    /// The state folder is on a disk that has no room left.
    @Suite struct FullDiskTests {
        @Test func whatCouldNotBeWrittenIsSaidAndWrittenLater() async throws {
            try await Rig.withoutDaemon { rig in
                let state = rig.options.stateDirectory
                try await rig.sandbox.run(["mkdir", state], in: .host)
                try await rig.sandbox.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", state], in: .host)
                try await scoped {
                    try await rig.start()
                    _ = try await rig.sandbox.result(of: ["dd", "if=/dev/zero", "of=\(state)/filler", "bs=4k"])
                    try await rig.sandbox.install(.iptables)

                    let on = try await rig.on(owner: "alice")
                    #expect(on.state == "on" && on.codes == ["not-recorded"])
                    #expect(try await rig.sandbox.paths == .app)
                    // As long as there is no room it is said each time.
                    #expect(try await rig.on(owner: "alice").codes == ["not-recorded"])
                    // In the log once a second at most, with a count: any caller can have it said.
                    let lines = (0..<60).map { number in
                        #"{"jsonrpc":"2.0","id":1,"method":"bypass","params":{"netns":"\#(rig.sandbox.pod)","state":"on","#
                            + #""owner":"\#(number)"}}"#
                    }
                    let began = ContinuousClock.now
                    #expect(try await rig.lines(as: .root, lines).count == 60)
                    let said = try rig.daemon.standardError.split(separator: "\n").count {
                        $0.contains("a record could not be written")
                    }
                    let seconds = Int((ContinuousClock.now - began).components.seconds)
                    #expect(said <= 4 + seconds, "\(said) lines")

                    try await rig.sandbox.run(["rm", state + "/filler"], in: .host)
                    #expect(try await rig.on(owner: "alice").codes == [])
                    try rig.daemon.kill(9)
                    _ = try await rig.daemon.exit()
                    try await rig.start()
                    #expect(try await rig.status().owner == "alice")
                    #expect(try await rig.daemon.terminate() == .code(0))
                } cleanUp: {
                    try await rig.sandbox.run(["umount", "--lazy", state], in: .host)
                }
            }
        }
    }
}
