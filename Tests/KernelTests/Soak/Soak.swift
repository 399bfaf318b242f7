import BypassAPI
import BypassClient
import JSONRPC
import RootTestSupport
import Testbed
import Testing

/// 200 namespaces, 20 clients, and somebody who watches. Now and then everybody pauses, and what is so is compared: what
/// the clients have made, what `list` says, what was watched.
final class Soak {
    private let rig: Rig
    private let seed: UInt64
    private let names: [String]
    private static let clients = 20
    private static let namespaces = 200

    init(_ rig: Rig, seed: UInt64) {
        self.rig = rig
        self.seed = seed
        names = (0..<Self.namespaces).map { "\(rig.testbed.pod)-\($0)" }
    }

    func tearDown() async throws {
        let commands = names.map { "netns delete \($0)\n" }.joined()
        try await rig.testbed.run(["ip", "-force", "-batch", "-"], in: .host, input: commands)
    }

    func run(for duration: Duration) async throws {
        try await rig.testbed.run(
            ["ip", "-batch", "-"], in: .host, input: names.map { "netns add \($0)\n" }.joined())
        try await Watched.with(rig.socket) { try await run(for: duration, $0) }
    }

    private func run(for duration: Duration, _ watched: Watched) async throws {
        var clients: [SoakClient] = []
        let share = names.count / Self.clients
        for number in 0..<Self.clients {
            let own = Array(names[number * share..<(number + 1) * share])
            let client = try await BypassClient.connect(to: rig.socket)
            clients.append(SoakClient(client, own, rig.testbed, seed: seed &+ UInt64(number)))
        }
        let end = ContinuousClock.now + duration
        let pause = min(duration / 6, .seconds(10))
        var uses: [ProcessUsage] = []
        while ContinuousClock.now < end {
            try await step(clients, until: min(ContinuousClock.now + pause, end))
            try await compare(clients, watched)
            uses.append(try await settledUse())
        }
        for client in clients { await client.close() }
        try check(uses)
        try await checkNothingIsLeft()
        print(await report(clients, uses, watched, duration))
    }

    private func step(_ clients: [SoakClient], until end: ContinuousClock.Instant) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for client in clients { group.addTask { try await client.run(until: end) } }
            try await group.waitForAll()
        }
    }

    /// Nobody does anything: all have to say the same, once what is about to end has ended.
    private func compare(_ clients: [SoakClient], _ watched: Watched) async throws {
        var all: [String: SoakClient.Known] = [:]
        for client in clients { all.merge(await client.namespaces) { $1 } }
        try await eventually("no bypass is about to end") { !all.values.contains(where: \.isAboutToEnd) }
        let known = all.filter { $0.value.direction != nil && !$0.value.isOver }
        var expected = Set(known.map(\.key))
        var listed: [BypassAnswer] = []
        try await eventually("list says what was done: \(expected.symmetricDifference(listed.map(\.netns)))") {
            listed = try await rig.list()
            expected = Set(known.filter { !$0.value.isOver }.map(\.key))
            return Set(listed.map(\.netns)) == expected
        }
        let told = listed.map { Watched.Known($0) }
        try await eventually("who watches knows the same: \(Set(watched.set).symmetricDifference(told))") {
            watched.set == told
        }
        let generations = Dictionary(uniqueKeysWithValues: known.map { ($0.key, $0.value.generation) })
        for bypass in listed { #expect(bypass.state == "on" && bypass.generation == generations[bypass.netns]) }
        #expect(try await rig.entries == listed.count)
    }

    /// Sockets that wait to be closed are closed.
    private func settledUse() async throws -> ProcessUsage {
        var last = try rig.daemon.usage()
        try await eventually("the daemon comes to rest") {
            try await Task.sleep(for: .milliseconds(100))  // The time for which sockets wait.
            let use = try rig.daemon.usage()
            defer { last = use }
            return use.descriptors == last.descriptors
        }
        return last
    }

    /// What is used at the end is what was used when a third was over.
    private func check(_ uses: [ProcessUsage]) throws {
        let (early, late) = (uses[uses.count / 3], try #require(uses.last))
        #expect(late.descriptors <= early.descriptors + 8, "\(early) became \(late)")
        #expect(late.residentMemory <= early.residentMemory * 5 / 4 + 4 << 20, "\(early) became \(late)")
    }

    private func checkNothingIsLeft() async throws {
        let cleared = try await rig.call("clear")
        #expect(cleared.object?["failed"]?.array == [])
        for name in names { #expect(try await Residue.scan(name) == [], "\(name)") }
        #expect(try await rig.entries == 0)
    }

    private func report(
        _ clients: [SoakClient], _ uses: [ProcessUsage], _ watched: Watched, _ duration: Duration
    ) async -> String {
        var durations: [String: [Duration]] = [:]
        for client in clients { durations.merge(await client.durations) { $0 + $1 } }
        let calls = durations.values.reduce(0) { $0 + $1.count }
        var lines = ["soak of \(duration), seed \(seed): \(calls) calls, \(watched.changes.count) changes watched"]
        for (name, all) in durations.sorted(by: { $0.key < $1.key }) {
            let sorted = all.sorted()
            func at(_ percent: Int) -> String {
                let value = sorted[min(sorted.count - 1, sorted.count * percent / 100)] / .milliseconds(1)
                return "\((value * 10).rounded() / 10)"
            }
            lines.append("  \(name): \(all.count), p50 \(at(50)) ms, p99 \(at(99)) ms, max \(at(100)) ms")
        }
        lines.append("  resident, KiB: " + uses.map { "\($0.residentMemory / 1024)" }.joined(separator: " "))
        lines.append("  descriptors: " + uses.map { "\($0.descriptors)" }.joined(separator: " "))
        return lines.joined(separator: "\n")
    }
}
