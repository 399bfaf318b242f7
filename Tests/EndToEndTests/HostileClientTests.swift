import MeshSandbox
import TestSupport
import Testing

extension EndToEndTests {
    /// Clients that mean no good cost the daemon little, and others nothing that they would notice.
    @Suite struct HostileClientTests {
        /// The limits are the daemon's own, but for what a test would have to wait for.
        private static let arguments = ["--max-unread-seconds", "2"]

        @Test(arguments: HostileClients.kinds.map { [$0] } + [HostileClients.kinds])
        func costLittle(_ kinds: [String]) async throws {
            try await Rig.with(Self.arguments) { rig in
                for _ in 0..<20 { _ = try await rig.call("rpc.discover") }
                let before = try rig.daemon.usage()
                let report = try await HostileClients.run(kinds, against: rig)
                var after = before
                try await eventually("all descriptors are closed again: \(after.descriptors)") {
                    after = try rig.daemon.usage()
                    return after.descriptors <= before.descriptors
                }
                print("hostile clients \(kinds.joined(separator: ", ")): \(report)")
                print("    memory \(before.residentMemory >> 20) -> \(after.residentMemory >> 20) MiB")
                // In milliseconds: bounds for a machine that has other things to do, too.
                #expect(report.median < 100 && report.p99 < 1000 && report.longest < 3000)
                #expect(report.longestWelcome < 3000)
                if Sanitizer.leavesMemoryAsItIs {
                    #expect(report.peakMemory - before.residentMemory < 64 << 20)
                    #expect(after.residentMemory - before.residentMemory < 32 << 20)
                }
                #expect(report.mostDescriptors < 500)
                // One a second for each user who asks too much.
                let lines = try rig.daemon.standardError.split(separator: "\n")
                #expect(lines.count { $0.contains("request refused") } < 100)
                #expect(try await rig.on().state == "on")
            }
        }
    }
}
