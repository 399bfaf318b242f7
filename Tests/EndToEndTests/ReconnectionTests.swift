import MeshSandbox
import TestSupport
import Testing

extension EndToEndTests {
    /// A client of the library that watches, and whose connection is cut again and again at any byte.
    @Suite struct ReconnectionTests {
        @Test(arguments: [1, 2, 3] as [UInt64])
        func everyChangeIsSeenOnceHoweverOftenTheConnectionIsCut(seed: UInt64) async throws {
            await WatchRecorder.warmUp()
            try await Rig.with { rig in
                try await rig.on(rig.sandbox.peer, owner: "earlier")
                let reference = try await rig.subscribe()
                try await FlakyProxy.with(rig, seed: seed) { proxy in
                    try await WatchRecorder.with(proxy.path) { watched in
                        try await rig.sandbox.withNamespace { name in
                            let names = [rig.sandbox.pod, rig.sandbox.peer, name]
                            try await Self.decide(rig, names, decisions: 25, seed: seed)
                            try await rig.sandbox.run(["ip", "netns", "delete", name], in: .host)
                            try await eventually("the namespace is forgotten") { try await rig.list().count < 3 }
                        }
                        try await rig.on(rig.sandbox.peer, ttl: 1)
                        try await eventually("what ends by itself has ended") {
                            try await rig.list().allSatisfy { $0.netns != rig.sandbox.peer }
                        }
                        let last = try await rig.on(owner: "the last")
                        var reported: [WatchRecorder.Change] = []
                        repeat {
                            let event = try await reference.next()
                            reported.append(.init(name: event.name, bypass: .init(event.bypass)))
                            // What has expired is no longer listed a moment before that is an event.
                        } while !reported.contains { $0.bypass.generation == last.generation }
                            || !reported.contains { $0.name == "expired" }
                        try await eventually("all of it is seen: \(watched.changes.count) of \(reported.count)") {
                            watched.changes.count >= reported.count
                        }
                        #expect(Array(watched.changes.prefix(reported.count)) == reported)
                        #expect(watched.snapshots == 1, "the daemon remembers all of it")
                        #expect(proxy.cuts > 5 && watched.resumptions > 3)
                        try await eventually("it has what is bypassed: \(watched.set)") {
                            watched.set == (try await rig.list().map { .init($0) })
                        }
                    }
                }
            }
        }

        @Test func whoeverWatchesHasTheDaemonsOwnSetAlsoAfterItsDeath() async throws {
            await WatchRecorder.warmUp()
            try await Rig.with { rig in
                try await FlakyProxy.with(rig, seed: 4) { proxy in
                    try await WatchRecorder.with(proxy.path) { watched in
                        for round in 0..<6 {
                            try await withThrowingTaskGroup { group in
                                let names = [rig.sandbox.pod, rig.sandbox.peer]
                                group.addTask { try? await Self.decide(rig, names, decisions: 8, seed: UInt64(round)) }
                                // The daemon's end comes anywhere between those.
                                try await Task.sleep(for: .milliseconds(20 * round))
                                try rig.daemon.kill(round % 2 == 0 ? 9 : 15)
                                _ = try await rig.daemon.exit()
                                try await group.waitForAll()
                            }
                            let before = watched.snapshots
                            try await rig.start()
                            try await eventually("a snapshot of the new daemon", within: .seconds(30)) {
                                watched.snapshots > before
                            }
                            try await Self.decide(rig, [rig.sandbox.pod], decisions: 3, seed: UInt64(round))
                            try await eventually("it has what is bypassed: \(watched.set)", within: .seconds(30)) {
                                watched.set == (try await rig.list().map { .init($0) })
                            }
                        }
                    }
                }
            }
        }

        /// Each namespace is decided about by a task of its own, all at once.
        private static func decide(_ rig: Rig, _ names: [String], decisions: Int, seed: UInt64) async throws {
            try await withThrowingTaskGroup { group in
                for (index, name) in names.enumerated() {
                    group.addTask {
                        var random = SplitMix(seed: seed << 8 + UInt64(index))
                        for number in 0..<decisions {
                            switch random.next(below: 6) {
                            case 0: try await rig.on(name, ttl: 1)
                            case 1, 2: try await rig.on(name, direction: "inbound", owner: "\(number)")
                            case 3: try await rig.on(name, ttl: 600)
                            // Refused where nothing is bypassed.
                            case 4: _ = try? await rig.extend(name, ttl: 900)
                            default: try await rig.off(name)
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }
}
