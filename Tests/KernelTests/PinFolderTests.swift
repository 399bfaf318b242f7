import MeshSandbox
import TestSupport
import Testing

extension KernelTests {
    /// The folder of the pins may have any name.
    @Suite struct PinFolderTests {
        @Test func aFolderWithADotInItsNameIsTakenAsItIs() async throws {
            try await Rig.withoutDaemon { rig in
                var options = rig.options
                // A BPF file system refuses such names within itself: it is where it is mounted that can have one.
                options.bpffs = rig.folder.path + "/a.b"
                try await rig.sandbox.run(["mkdir", options.bpffs], in: .host)
                try await rig.sandbox.run(["mount", "-t", "bpf", "bpf", options.bpffs], in: .host)
                try await scoped {
                    try await rig.sandbox.install(.iptables)
                    let daemon = try await DaemonProcess.start(options)
                    _ = try await daemon.call(
                        #"{"jsonrpc":"2.0","id":1,"method":"bypass","params":["\#(rig.sandbox.pod)","on"]}"#)
                    #expect(try await rig.sandbox.paths == .app)
                    let listed = try await rig.sandbox.run(["iptables", "-t", "nat", "-S", "OUTPUT"], in: .pod)
                    #expect(listed.contains("-m bpf --object-pinned \(options.bpffs)/bypass -j RETURN"))
                    try await rig.sandbox.run(["ls", options.bpffs + "/bypassed_netns"], in: .host)
                    #expect(try await daemon.terminate() == .code(0))
                } cleanUp: {
                    try await rig.sandbox.run(["umount", "--lazy", options.bpffs], in: .host)
                }
            }
        }
    }
}
