import Linux
import MeshSandbox
import SystemPackage
import TestSupport
import Testing

extension KernelTests {
    /// The daemon may have no more threads for some time.
    @Suite struct ThreadLimitTests {
        @Test func clientsAreTakenInAgainOnceThereAreThreads() async throws {
            try await Rig.withoutDaemon { rig in
                let faults = try Faults(in: rig.folder.path)
                try await rig.start(environment: faults.environment)
                let subscriber = try await rig.subscribe()
                let before = try rig.daemon.usage()
                faults.plan.arm(.fail(.resourceTemporarilyUnavailable), at: "pthread_create", times: .max)
                for _ in 1...200 {
                    await #expect(throws: (any Error).self) { try await rig.list() }
                }
                #expect(faults.plan.injected >= 200)
                faults.plan.disarm()
                // Who was connected has noticed nothing, and nothing is kept of those who were not let in.
                try await rig.on()
                #expect(try await subscriber.next().name == "on")
                try await eventually("what was opened is closed") {
                    let after = try rig.daemon.usage()
                    // A thread that has entered a namespace, as the next check of the bypass does, keeps a descriptor of its own.
                    return after.descriptors <= before.descriptors + after.threads && after.threads <= before.threads
                }
                let lines = try rig.daemon.standardError.split(separator: "\n").filter { $0.contains("accept failed") }
                #expect(lines.first?.contains("pthread_create") == true)
                // One a second.
                #expect(lines.count < 20, "\(lines.count) lines")
            }
        }
    }
}
