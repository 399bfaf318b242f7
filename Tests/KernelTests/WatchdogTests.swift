import Linux
import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension KernelTests {
    /// The watchdog is fed as long as clients are answered, and no longer.
    @Suite struct WatchdogTests {
        /// Plays systemd, which allows 200 ms.
        private final class Systemd: Sendable {
            private let log: String
            let environment: [String: String]

            init(_ folder: String) {
                log = folder + "/notified"
                environment = ["NOTIFY_SOCKET": folder + "/notify", "WATCHDOG_USEC": "200000"]
            }

            static let interval = Duration.milliseconds(100)

            var pings: Int {
                get throws {
                    try Files.text(log).split(separator: "WATCHDOG=1", omittingEmptySubsequences: false).count - 1
                }
            }

            func with(_ rig: Rig, _ body: () async throws -> Void) async throws {
                let socket = environment["NOTIFY_SOCKET"]!
                try await rig.sandbox.withReceiver(at: socket, output: log, body)
            }

            func waitForPings(_ count: Int) async throws {
                let before = try pings
                try await eventually("\(count) more pings", within: .seconds(5)) { try self.pings >= before + count }
            }

            /// One can be on its way; five times its interval later it is certain that there is no other.
            func expectSilence() async throws {
                try await Task.sleep(for: Self.interval)
                let before = try pings
                try await Task.sleep(for: Self.interval * 5)
                #expect(try pings <= before + 1)
            }
        }

        private static func run(_ body: (Rig, Faults, Systemd) async throws -> Void) async throws {
            try await Rig.withoutDaemon(["--check-interval", "1"]) { rig in
                let (faults, systemd) = (try Faults(in: rig.folder.path), Systemd(rig.folder.path))
                try await systemd.with(rig) {
                    try await rig.start(environment: faults.environment.merging(systemd.environment) { $1 })
                    try await systemd.waitForPings(2)
                    try await body(rig, faults, systemd)
                    #expect(try await rig.daemon.terminate() == .code(0))
                }
            }
        }

        /// What every call needs: that the acceptor accepts, and the lock of the records.
        @Test(arguments: ["accept", "write"])
        func itIsNotFedWhenNobodyIsAnsweredAnyMore(_ operation: String) async throws {
            try await Self.run { rig, faults, systemd in
                faults.plan.arm(.stall, at: operation == "write" ? "write \(rig.options.stateDirectory)" : operation)
                async let call = rig.on()
                try await eventually("it is stuck") { faults.plan.injected > 0 }
                try await systemd.expectSilence()
                faults.plan.disarm()
                _ = try await call
                try await systemd.waitForPings(3)
                try await rig.off()
            }
        }

        @Test func slowNamespacesDoNotStarveIt() async throws {
            try await Self.run { rig, faults, systemd in
                try await rig.on()
                try await rig.on(rig.sandbox.peer)
                faults.plan.arm(.stall, at: "recvmmsg", times: .max)
                async let first = rig.status()
                async let second = rig.status(rig.sandbox.peer)
                async let all = rig.list()
                try await eventually("they are stuck") { faults.plan.injected >= 2 }
                try await systemd.waitForPings(10)
                _ = try await rig.call("info")
                faults.plan.disarm()
                _ = try await (first, second, all)
                try await rig.off()
                try await rig.off(rig.sandbox.peer)
            }
        }

        /// Two namespaces never answer while the daemon starts.
        @Test func stuckNamespacesDelayNeitherTheStartNorOthers() async throws {
            try await Rig.withoutDaemon(["--check-interval", "1"]) { rig in
                let faults = try Faults(in: rig.folder.path)
                try await rig.start(environment: faults.environment)
                try await rig.sandbox.withNamespace { third in
                    let names = [rig.sandbox.pod, rig.sandbox.peer, third]
                    for name in names { try await rig.on(name) }
                    try rig.daemon.kill(9)
                    _ = try await rig.daemon.exit()
                    faults.plan.arm(.stall, at: "recvmmsg", times: 2)
                    let clock = ContinuousClock()
                    let start = clock.now
                    try await rig.start(environment: faults.environment)
                    _ = try await rig.call("info")
                    #expect(clock.now - start < .seconds(1.5), "\(clock.now - start)")
                    try await eventually("two are stuck") { faults.plan.injected == 2 }

                    let subscriber = try await rig.subscribe()
                    #expect(clock.now - start < .seconds(8), "\(clock.now - start)")
                    let bypasses = try #require(subscriber.bypasses)
                    let unread = bypasses.filter { $0.codes == ["unseen"] }
                    #expect(bypasses.count == 3 && unread.count == 2, "\(bypasses)")
                    let read = try #require(bypasses.first { $0.codes != ["unseen"] })
                    let asked = clock.now
                    #expect(try await rig.status(read.netns).state == "on")
                    #expect(clock.now - asked < .seconds(1), "\(clock.now - asked)")

                    faults.plan.disarm()
                    let events = [try await subscriber.next(), try await subscriber.next()]
                    #expect(events.map(\.name) == ["repaired", "repaired"])
                    #expect(Set(events.map(\.bypass.netns)) == Set(unread.map(\.netns)))
                    for name in names { try await rig.off(name) }
                }
            }
        }
    }
}
