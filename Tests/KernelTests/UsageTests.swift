import Linux
import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension KernelTests {
    /// Calls cost nothing that stays.
    @Suite struct UsageTests {
        /// Every kind of call once, with a namespace and with what is none.
        private static func round(_ rig: Rig, _ netns: String) async throws {
            try await rig.on(netns, ttl: 1000, owner: "alice")
            try await rig.on(netns, direction: "inbound")
            try await rig.status(netns)
            _ = try await rig.list()
            try await rig.off(netns)
            for name in ["none-of-these", "/dev/null", "/proc/1/ns/net", "a/b", "pod:none", "pid:4194305"] {
                #expect(try await rig.refusal("bypass", [.string(name), "on"]) != nil)
            }
            _ = try await rig.call("info")
            _ = try await rig.call("rpc.discover")
            #expect(try await rig.refusal("nothing", []) == Refusal(code: -32601))
        }

        private static func rounds(_ count: Int, _ rig: Rig) async throws {
            try await withThrowingTaskGroup { group in
                for netns in [rig.sandbox.pod, rig.sandbox.peer] {
                    group.addTask { for _ in 0..<count { try await round(rig, netns) } }
                }
                try await group.waitForAll()
            }
        }

        @Test func noDescriptorAndNoThreadStays() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                // Threads and what they share are made as they are needed.
                try await Self.rounds(10, rig)
                let daemon = try rig.daemon
                let before = try await Self.settled(daemon)
                try await Self.rounds(40, rig)
                var now = ProcessUse(daemon)
                try await eventually("no more descriptors and threads than before: \(before), now \(now)") {
                    now = ProcessUse(daemon)
                    return now.isNoMore(than: before)
                }
            }
        }

        @Test func aClientThatGoesAwayInTheMiddleLeavesNothing() async throws {
            try await Rig.with { rig in
                let daemon = try rig.daemon
                try await rig.status()
                let before = try await Self.settled(daemon)
                let client = """
                    import socket, struct, sys
                    for part in (b'', b'{"jsonrpc"', b'{"jsonrpc":"2.0","id":1,"method":"list"}\\n' * 50):
                        for reset in (False, True):
                            s = socket.socket(socket.AF_UNIX)
                            s.connect(sys.argv[1])
                            s.sendall(part)
                            s.close()
                    """
                for _ in 0..<5 { try await rig.sandbox.run(["python3", "-c", client, rig.socket], in: .host) }
                var now = ProcessUse(daemon)
                try await eventually("no more descriptors and threads than before: \(before), now \(now)") {
                    now = ProcessUse(daemon)
                    return now.isNoMore(than: before)
                }
                #expect(try await rig.on().state == "on")
            }
        }

        private struct ProcessUse: Equatable, CustomStringConvertible {
            let threads: Int
            let descriptors: [String]

            init(_ daemon: DaemonProcess) {
                threads = (try? daemon.usage().threads) ?? -1
                // By kind: numbers behind the colon are given again. A thread keeps its folder in proc open for as long as it
                // lives, and which threads of a pool have had work is chance.
                descriptors = ((try? Descriptors.open(of: daemon.pid).values) ?? [:].values)
                    .filter { !($0.contains("/task/") && (try? Files.text($0 + "/comm")) != nil) }
                    .map { String($0.prefix { $0 != "[" }) }.sorted()
            }

            /// Threads that the Swift runtime made on the way end when they have had nothing to do for some seconds.
            func isNoMore(than before: Self) -> Bool {
                threads <= before.threads && descriptors == before.descriptors
            }

            var description: String { "\(threads) threads, \(descriptors)" }
        }

        /// What it uses when nothing has changed for longer than the daemon parks a socket.
        private static func settled(_ daemon: DaemonProcess) async throws -> ProcessUse {
            var last = ProcessUse(daemon)
            var since = ContinuousClock.now
            try await eventually("the daemon settles") {
                let now = ProcessUse(daemon)
                if now != last { (last, since) = (now, .now) }
                return ContinuousClock.now - since > .milliseconds(800)
            }
            return last
        }
    }
}
