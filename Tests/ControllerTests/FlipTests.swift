import ControllerTestSupport
import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension ControllerTests {
    /// Labels flip during all kinds of faults; in the end desired and actual state are the same.
    @Suite struct FlipTests {
        private static let flips = 1000

        @Test("A thousand flips with faults in between", arguments: [11] as [UInt64])
        func soak(seed: UInt64) async throws {
            try await ControllerRig.with { it in
                try await Fleet.with(8, it) { fleet in
                    try await it.start()
                    try await it.rig.on(it.sandbox.peer, owner: "alice")
                    var random = SplitMix(seed: seed)
                    for flip in 0..<Self.flips {
                        try await Self.flip(random.pick(fleet.names), it, &random)
                        if flip % 25 == 24 { try await Self.injectFault(it, &random) }
                        // Some come together, and some after the previous one is done.
                        if random.next(below: 3) == 0 { try await Task.sleep(for: .milliseconds(20)) }
                    }
                    it.server.endFaults()
                    let wanted = Set(
                        zip(fleet.names, fleet.uids).filter { it.server.hasLabel($0.0) }
                            .map { "kubernetes:default/\($0.0)/\($0.1)" })
                    var actual: Set<String> = []
                    try await eventually("\(actual) is what is wanted: \(wanted)", within: .seconds(40)) {
                        actual = Set(try await it.rig.list().compactMap(\.owner))
                        return actual == wanted.union(["alice"])
                    }
                    for name in fleet.names {
                        try await it.says(it.server.hasLabel(name) ? "on" : nil, within: .seconds(40), name)
                    }
                    let directions = Set(try await it.rig.list().map(\.direction))
                    #expect(directions.isSubset(of: ["both", "inbound"]))
                }
            }
        }

        private static func flip(_ name: String, _ it: ControllerRig, _ random: inout SplitMix) async throws {
            if random.next(below: 5) == 0 {
                let direction: JSONValue = random.next(below: 2) == 0 ? "inbound" : .null
                it.server.annotate(name, ["kmesh.net/bypass-direction": direction])
            }
            it.server.label(name, it.server.hasLabel(name) ? nil : "enabled")
        }

        private static func injectFault(_ it: ControllerRig, _ random: inout SplitMix) async throws {
            switch random.next(below: 9) {
            case 0: it.server.failWatch(after: random.next(below: 3), .cut)
            case 1: it.server.failWatch(after: random.next(below: 3), .error(410, "Expired"))
            case 2: it.server.failWatch(after: random.next(below: 3), .error(500, "InternalError"))
            case 3: it.server.fail(.status(500, "InternalError", "etcd is away"), times: 3)
            case 4: it.server.fail(.status(409, "Conflict", "the object has been modified")) { $0.verb == "PATCH" }
            case 5: it.server.compact()
            case 6: try await it.restartDaemon()
            case 7:
                await it.kill(random.next(below: 2) == 0 ? 9 : 15)
                return try await it.start(waits: false)
            default: break
            }
            // A fault of a watch hits the next watch.
            if random.next(below: 2) == 0 { try await it.server.restart() }
        }
    }
}
