import ControllerTestSupport
import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension ControllerTests {
    /// The time and memory that a controller needs. The bounds are for a debug build on a shared machine.
    @Suite struct FleetTests {
        private static let size = 500

        @Test("Five hundred pods that are labelled at once are bypassed within seconds")
        func burst() async throws {
            try await ControllerRig.with { it in
                // The size of a pod in a cluster: 8 KB.
                try await Fleet.with(Self.size, it, filler: 8000) { fleet in
                    try await it.start()
                    let subscriber = try await it.rig.subscribe()
                    for name in fleet.names { it.server.label(name) }
                    let start = ContinuousClock.now
                    var bypassed: Set<Int> = []
                    while bypassed.count < Self.size {
                        let event = try await subscriber.next()
                        if event.name == "on" { bypassed.insert(event.bypass.inode) }
                    }
                    let time = start.duration(to: .now)
                    let used = (daemon: try it.rig.daemon.usage().processorTime, controller: try it.usage.processorTime)
                    #expect(time < .seconds(20))
                    try await eventually("all of them say so", within: .seconds(60)) {
                        fleet.names.allSatisfy { it.server.annotation("kmesh.net/bypass-status", of: $0) == "on" }
                    }
                    let memory = try it.usage.residentMemory
                    print("\(Self.size) pods bypassed after \(time); controller: \(memory >> 10) KiB; \(used)")
                    #expect(memory < 100 << 20)
                    // After a restart everything is up to date, and nothing is called.
                    _ = it.server.takeRequests()
                    let generations = Set(try await it.rig.list().map(\.generation))
                    try await it.restart()
                    it.server.label(fleet.names[0], nil)
                    try await eventually("it works") { try await it.rig.list().count == Self.size - 1 }
                    let after = Set(try await it.rig.list().map(\.generation))
                    #expect(after.isSubset(of: generations))
                    // Only the unlabelled pod is patched. (Events may still have been pending.)
                    #expect(it.server.requests.count { $0.verb == "PATCH" } <= 1)
                    let last = try it.usage.residentMemory
                    print("after a restart with \(Self.size) pods: \(last >> 10) KiB")
                    for name in fleet.names { it.server.label(name, nil) }
                    try await eventually("none is left", within: .seconds(30)) { try await it.rig.list().isEmpty }
                }
            }
        }

        @Test("Traffic takes the other path moments after the label is set")
        func latency() async throws {
            try await ControllerRig.with { it in
                try await it.start()
                var times: [Duration] = []
                for _ in 0..<30 {
                    let probe = try it.sandbox.startProbe(.outbound, .ipv4)
                    try await eventually("the sidecar answers") { probe.tally.sidecar > 0 }
                    let start = ContinuousClock.now
                    it.server.label("web")
                    while probe.tally.app == 0 { try await Task.sleep(for: .microseconds(200)) }
                    times.append(start.duration(to: .now))
                    _ = try await probe.stop()
                    it.server.label("web", nil)
                    try await it.becomes(.sidecar)
                }
                let median = times.sorted()[times.count / 2]
                print("label to traffic: median \(median), most \(times.max() ?? .zero)")
                #expect(median < .milliseconds(200))
            }
        }
    }
}
