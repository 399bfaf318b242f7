import BypassAPI
import MeshSandbox
import TestSupport
import Testing

/// Two hundred namespaces, twenty clients and one who watches, for some time. Now and then all of them pause, and what
/// they know has to be the same.
final class Soak {
    private static let namespaces = 200
    private static let clients = 20
    private static let shared = 20
    private static let pods = 4

    private let rig: Rig
    private let seed: UInt64
    private let names: [String]
    private var sandboxes: [MeshSandbox] = []
    private var clients: [SoakClient] = []
    private var figures = SoakFigures()
    private var connections = 0

    init(_ rig: Rig, seed: UInt64) {
        self.rig = rig
        self.seed = seed
        names = (0..<Self.namespaces).map { "\(rig.sandbox.pod)-\($0)" }
    }

    var report: String { "seed \(seed), \(connections) connections\n\(figures.report)" }

    func run(seconds: Int) async throws {
        try await scoped {
            try await host("ip", "-batch", "-", input: names.map { "netns add \($0)\n" }.joined())
            for number in 0..<Self.pods {
                sandboxes.append(try await MeshSandbox.make())
                try await sandboxes[number].install(MeshSandbox.Mesh.allCases[number % MeshSandbox.Mesh.allCases.count])
            }
            try await rig.start(["--log-level", "warning"])
            try await WatchRecorder.with(rig.socket) { try await run(seconds: seconds, $0) }
        } cleanUp: {
            for sandbox in sandboxes { try await sandbox.tearDown() }
            // Some are deleted already.
            let deletion = names.map { "netns delete \($0)\n" }.joined()
            _ = try await rig.sandbox.result(of: ["ip", "-force", "-batch", "-"], input: deletion)
        }
    }

    private func run(seconds: Int, _ watched: WatchRecorder) async throws {
        let share = (Self.namespaces - Self.shared) / Self.clients
        for number in 0..<Self.clients {
            let own = names[Self.shared + number * share..<Self.shared + (number + 1) * share]
            clients.append(
                try await SoakClient(
                    .init(
                        number: number, own: Array(own), shared: Array(names[..<Self.shared]),
                        sandbox: number < Self.pods ? sandboxes[number] : nil, isSteady: number == 0), rig, seed: seed))
            try await clients[number].begin()
        }
        let traffic = SoakTraffic(sandboxes[0])
        async let passed = traffic.run()
        try await scoped {
            let start = ContinuousClock.now
            let epoch = Duration.seconds(max(1, min(10, seconds / 12)))
            while ContinuousClock.now < start + .seconds(seconds) {
                try await work(for: epoch)
                try await agree(watched)
                figures.add(try await settledUsage(), after: ContinuousClock.now - start)
            }
        } cleanUp: {
            traffic.end()
            for client in clients {
                figures.add(await client.figures)
                await client.close()
            }
        }
        let (count, wrong) = try await passed
        connections = count
        #expect(wrong == [], "connections of the pod that is always bypassed")
        #expect(figures.growth == nil)
        try await checkTelling(watched)
        try await checkNothingIsLeft(watched)
    }

    private func work(for epoch: Duration) async throws {
        let deadline = ContinuousClock.now + epoch
        try await withThrowingTaskGroup { group in
            for client in clients { group.addTask { try await client.work(until: deadline) } }
            try await group.waitForAll()
        }
    }

    /// What the daemon uses when no one asks: it closes what it has open in a namespace half a second after a call.
    private func settledUsage() async throws -> ProcessUsage {
        var usage = try rig.daemon.usage()
        try await eventually("the number of descriptors stays the same") {
            try await Task.sleep(for: .milliseconds(800))
            let earlier = usage
            usage = try rig.daemon.usage()
            return usage.descriptors == earlier.descriptors
        }
        return usage
    }

    /// `list`, who watches, the clients and `status` say the same.
    private func agree(_ watched: WatchRecorder) async throws {
        var difference = ""
        try await eventually("all agree: \(difference)", within: .seconds(20)) {
            let list = try await rig.list()
            difference = "reported \(watched.set), listed \(list.map { WatchRecorder.Known($0) })"
            guard watched.set == list.map({ .init($0) }) else { return false }
            let bypassed = Set(list.map(\.netns))
            for client in clients {
                for namespace in await client.own {
                    let isListed = bypassed.contains(namespace.name)
                    difference = "\(namespace), listed: \(isListed)"
                    guard isListed ? namespace.mayBeOn(from: .now) : !namespace.mustBeOn(until: .now) else {
                        return false
                    }
                }
            }
            for name in names[..<Self.shared] {
                difference = name
                guard try await rig.status(name).state == (bypassed.contains(name) ? "on" : "off") else { return false }
            }
            return true
        }
    }

    /// Every decision was reported once, and nothing else.
    private func checkTelling(_ watched: WatchRecorder) async throws {
        #expect(watched.snapshots == 1)
        let changes = watched.changes
        // Namespaces that went, one after the other, may have had the same number; an end is reported for what is bypassed.
        let decided = changes.filter { $0.name != "gone" }
        #expect(Set(decided).count == decided.count, "a change was reported twice")
        #expect(watched.strayEnds == [], "an end was reported twice")
        #expect(changes.filter { ["degraded", "repaired"].contains($0.name) } == [], "nobody damages anything")
        let reported = Set(changes.map(\.bypass.generation))
        var decisions: [Int] = []
        for client in clients { decisions += await client.decisions }
        #expect(Set(decisions).count == decisions.count, "two decisions have the same generation")
        #expect(Set(decisions).subtracting(reported) == [], "a decision was not reported")
    }

    private func checkNothingIsLeft(_ watched: WatchRecorder) async throws {
        _ = try await rig.call("clear")
        try await eventually("nothing is bypassed: \(watched.set)") {
            try await rig.list().isEmpty && watched.set.isEmpty
        }
        #expect(try await rig.entries == 0)
        #expect(try rig.recordedInodes() == [])
        for client in clients {
            for namespace in await client.own where namespace.exists {
                try await checkNothingIsLeft(in: namespace.name)
            }
        }
        for name in names[..<Self.shared] { try await checkNothingIsLeft(in: name) }
    }

    private func checkNothingIsLeft(in name: String) async throws {
        if sandboxes.contains(where: { $0.pod == name }) {
            #expect(try await Leftovers.scan(name) == [])
        } else {
            // The chains too that the daemon has made for its rules.
            #expect(try await host("nsenter", "--net=/run/netns/\(name)", "nft", "list", "ruleset") == "", "\(name)")
        }
    }

    @discardableResult
    private func host(_ command: String..., input: String? = nil) async throws -> String {
        try await rig.sandbox.run(command, in: .host, input: input)
    }
}
