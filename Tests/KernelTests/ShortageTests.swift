import Linux
import MeshSandbox
import StrictJSON
import SystemPackage
import TestSupport
import Testing

extension KernelTests {
    /// The daemon can open nothing for some time. What it cannot look at is still there.
    @Suite struct ShortageTests {
        private static let errors: [Errno] = [.tooManyOpenFiles, .tooManyOpenFilesInSystem, .noMemory]

        @Test(arguments: errors)
        func aBypassThatCannotBeLookedAtGoesOn(_ error: Errno) async throws {
            try await Rig.withoutDaemon(["--check-interval", "1"]) { rig in
                let faults = try Faults(in: rig.folder.path)
                try await rig.start(environment: faults.environment)
                try await rig.sandbox.install(.iptables)
                let on = try await rig.on(ttl: 3600, owner: "somebody")
                let subscriber = try await rig.subscribe()
                for operation in ["open /run/netns", "open"] {
                    faults.plan.arm(.fail(error), at: operation, times: .max)
                    try await eventually("the daemon has looked twice, and could not: \(operation)") {
                        faults.plan.injected >= 4
                    }
                    #expect(try await rig.sandbox.paths == .app)
                    #expect(try await rig.entries == 1)
                    faults.plan.disarm()
                    #expect(try await rig.list().map(\.owner) == ["somebody"])
                }
                try await eventually("all is well again") { try await rig.status().state == "on" }
                #expect(try await rig.status().generation == on.generation)
                try await rig.off()
                // Nothing was told in between that was not so.
                var names: [String] = []
                while names.last != "off" { names.append(try await subscriber.next().name) }
                #expect(!names.contains("gone") && !names.contains("expired"), "\(names)")
            }
        }
    }
}
