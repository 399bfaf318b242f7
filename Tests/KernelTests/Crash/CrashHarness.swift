import Linux
import MeshSandbox
import StrictJSON
import TestSupport
import Testing

/// Kills a daemon again and again, at a system call, while it works on some of eight namespaces; looks how connections go
/// then, and whether the next daemon finds everything and leaves nothing.
final class CrashHarness {
    private let rig: Rig
    private let faults: Faults
    private let seed: UInt64
    private var random: SplitMix
    private let pods: [MeshSandbox]
    /// How connections of each pod go, while nothing is under way.
    private var behaviours: [CrashBehaviour]
    private var kills: [String: Int] = [:]
    private var points: [String: Int] = [:]
    private var connections = 0
    private var killedAt = ""

    init(_ rig: Rig, seed: UInt64) async throws {
        self.rig = rig
        self.seed = seed
        random = SplitMix(seed: seed)
        faults = try Faults(in: rig.folder.path)
        var pods: [MeshSandbox] = []
        for number in 0..<8 {
            let sandbox = try await MeshSandbox.make()
            pods.append(sandbox)
            let meshes = MeshSandbox.Mesh.allCases
            try await sandbox.install(meshes[number % meshes.count])
        }
        self.pods = pods
        behaviours = Array(repeating: .mesh, count: pods.count)
        try await rig.start(environment: faults.environment)
    }

    func tearDown() async throws {
        for pod in pods { try await pod.tearDown() }
    }

    var report: String {
        let rows =
            (kills.sorted { $0.key < $1.key }.map { ("killed in", $0.key, $0.value) })
            + (points.sorted { $0.key < $1.key }.map { ("killed at", $0.key, $0.value) })
        return "\(kills.values.reduce(0, +)) kills, seed \(seed), \(connections) connections\n"
            + rows.map { "  \($0.0) \($0.1): \($0.2)\n" }.joined()
    }

    /// First each step at each of its system calls, as far as `kills` go; then at random, with some namespaces at a time.
    func run(kills: Int) async throws {
        let systematic: [CrashStep] = [
            .on("both"), .on("outbound"), .off, .on("inbound"), .extend, .upgrade, .restart, .off, .expiry("both"),
        ]
        var left = kills
        for step in systematic where left > 0 {
            var skip = 0
            // Until a step is over before the kill.
            // What waits for a time to be over takes its time.
            let most = step.isSlow ? 50 : 300
            while skip < most, left > kills / 2, try await round(step, on: [0], killAt: skip) {
                skip += 1
                left -= 1
            }
        }
        while left > 0 {
            let step = CrashStep.random(&random)
            let count = step.isStart ? pods.count : 1 + random.next(below: 4)
            let first = random.next(below: pods.count)
            let chosen = (0..<count).map { (first + $0) % pods.count }
            _ = try await round(step, on: chosen, killAt: random.next(below: step.isStart ? 120 : 40 * count))
            left -= 1
        }
        try await checkNothingIsLeft()
    }

    private func checkNothingIsLeft() async throws {
        _ = try await rig.call("clear")
        for (index, pod) in pods.enumerated() {
            #expect(try await Leftovers.scan(pod.pod) == [], "pod \(index), KMESH_SEED=\(seed)")
            #expect(try await pod.paths == .sidecar)
        }
        #expect(try await rig.entries == 0)
    }

    /// - Returns: whether the daemon died at a system call, and not after all was done.
    private func round(_ step: CrashStep, on chosen: [Int], killAt skip: Int) async throws -> Bool {
        try await prepare(step, chosen)
        var allowed = behaviours.map { Set([$0]) }
        for index in chosen { allowed[index] = step.allowed(behaviours[index]) }
        let traffic = CrashTraffic(pods, allowed: allowed)
        let fault: FaultInjection.Fault = random.next(below: 2) == 0 ? .killBefore : .killAfter
        let injected = try await cutOff(step, chosen, fault, skip)
        for index in chosen { try await settle(index, allowed[index], step) }
        try await rig.start(environment: faults.environment)
        if case .expiry = step { try await waitForEnd(chosen) }
        let complaints = try await checkAgreement(chosen)
        let (count, wrong) = await traffic.end()
        connections += count
        kills[step.kind, default: 0] += 1
        if complaints.isEmpty && wrong.isEmpty { return injected }
        throw UnmetExpectation(
            description: "after a kill in \(step) at \(killedAt) (call \(skip), pods \(chosen)): "
                + (complaints + wrong.map { "pod \($0.pod): \($0)" }).joined(separator: "; ")
                + "; KMESH_SEED=\(seed)")
    }

    /// What has to be so before.
    private func prepare(_ step: CrashStep, _ chosen: [Int]) async throws {
        for index in chosen {
            switch step {
            case .extend:
                try await rig.on(pods[index].pod, ttl: 300, owner: "crash")
                behaviours[index] = .bypassed("both")
            case .expiry:
                try await rig.off(pods[index].pod)
                behaviours[index] = .mesh
            case .on, .off, .restart, .upgrade: break
            }
        }
    }

    /// Has the daemon die while it carries out the step, or at the latest when it has.
    private func cutOff(
        _ step: CrashStep, _ chosen: [Int], _ fault: FaultInjection.Fault, _ skip: Int
    ) async throws -> Bool {
        if step.isStart {
            try rig.daemon.kill(9)
            _ = try await rig.daemon.exit()
            if step == .upgrade { try await rig.ageRules(of: chosen.map { pods[$0].pod }) }
            faults.plan.arm(fault, skip: skip)
            do {
                try await rig.start(environment: faults.environment)
                _ = try? await rig.subscribe()
            } catch is DaemonProcess.NotServing {}
        } else {
            faults.plan.arm(fault, skip: skip)
            await call(step, chosen)
        }
        if case .expiry = step { try await waitForEnd(chosen) }
        let injected = faults.plan.injected > 0
        killedAt = injected ? Self.point(faults.plan.last) : "rest"
        points[killedAt, default: 0] += 1
        faults.plan.disarm()
        try? rig.daemon.kill(9)
        _ = try? await rig.daemon.exit()
        return injected
    }

    /// All at once; that the daemon goes away meanwhile is what this is about.
    private func call(_ step: CrashStep, _ chosen: [Int]) async {
        await withTaskGroup(of: Void.self) { group in
            for index in chosen {
                group.addTask { [rig, name = pods[index].pod] in
                    switch step {
                    case .on(let direction): _ = try? await rig.on(name, direction: direction, owner: "crash")
                    case .expiry(let direction):
                        _ = try? await rig.on(name, direction: direction, ttl: 1, owner: "crash")
                    case .off: _ = try? await rig.off(name)
                    case .extend: _ = try? await rig.extend(name, ttl: 600)
                    case .restart, .upgrade: break
                    }
                }
            }
        }
    }

    /// Until the daemon has cleaned up, or has died over it.
    private func waitForEnd(_ chosen: [Int]) async throws {
        try await eventually("bypasses with a second to live have ended, or the daemon has") { [rig] in
            if faults.plan.injected > 0 { return true }
            let list = (try? await rig.list()) ?? []
            let info = try? await rig.call("info")
            return list.allSatisfy { bypass in !chosen.contains { pods[$0].pod == bypass.netns } }
                && info?.object?["bypassed"] == .number(.init(list.count))
        }
    }

    /// How connections of a pod go while no daemon runs: as before or as after, in all directions and families.
    private func settle(_ index: Int, _ allowed: Set<CrashBehaviour>, _ step: CrashStep) async throws {
        let ways = try await pods[index].paths
        guard let found = allowed.first(where: { $0.paths == ways }) else {
            throw UnmetExpectation(
                description: "half a bypass after a kill in \(step) at \(killedAt), pod \(index): \(ways); "
                    + "before \(behaviours[index]); KMESH_SEED=\(seed)")
        }
        behaviours[index] = found
    }

    /// What the kernel, `list`, the records and connections say, once the new daemon has looked at everything.
    private func checkAgreement(_ chosen: [Int]) async throws -> [String] {
        // Not answered before that.
        _ = try await rig.subscribe()
        var complaints: [String] = []
        let list = try await rig.list()
        let entries = try await rig.entries
        if entries != list.count { complaints.append("\(entries) entries in the map, \(list.count) bypasses listed") }
        let recorded = try rig.recordedInodes()
        if recorded != Set(list.map(\.inode)) {
            complaints.append("records of \(recorded), listed \(list.map(\.inode))")
        }
        for (index, pod) in pods.enumerated() {
            let listed = list.first { $0.netns == pod.pod }
            if let listed, listed.state != "on" || listed.owner != "crash" {
                complaints.append("pod \(index) is \(listed.state), of \(listed.owner ?? "nobody")")
            }
            guard chosen.contains(index) else { continue }
            // What was interrupted is carried through, or taken back.
            behaviours[index] = listed.map { .bypassed($0.direction ?? "") } ?? .mesh
            let ways = try await pod.paths
            if ways != behaviours[index].paths {
                complaints.append("pod \(index) is \(behaviours[index]), but \(ways)")
            }
            if listed == nil {
                complaints += try await Leftovers.scan(pod.pod).map { "left in pod \(index): \($0)" }
            }
        }
        return complaints
    }

    /// An operation without the paths and names in it.
    private static func point(_ operation: String) -> String {
        operation.split(separator: " ").filter { !$0.contains("/") }.joined(separator: " ")
    }
}
