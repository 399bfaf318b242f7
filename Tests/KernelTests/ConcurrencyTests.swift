import Linux
import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension KernelTests {
    /// Several at the same time: clients of the daemon, and others who change rules.
    @Suite struct ConcurrencyTests {
        @Test func callsOnOneNamespaceFollowOneAnother() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let before = try await rig.sandbox.rules
                let directions = ["both", "inbound", "outbound"]
                try await withThrowingTaskGroup { group in
                    for client in 0..<6 {
                        group.addTask {
                            for round in 0..<10 {
                                let direction = directions[(client + round) % 3]
                                let on = try await rig.on(direction: direction, owner: "client \(client)")
                                // No one comes between a call and its answer.
                                #expect(on.state == "on" && on.direction == direction && on.owner == "client \(client)")
                                #expect(try await rig.off().state == "off")
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(try await rig.sandbox.rules == before)
                #expect(try await rig.sandbox.paths == .sidecar)
                #expect(try await rig.list() == [])
            }
        }

        @Test func whoChangesRulesAtTheSameTimeIsNotInTheWay() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let before = try await rig.sandbox.rules
                try await withThrowingTaskGroup { group in
                    group.addTask {
                        for _ in 0..<30 {
                            try await rig.sandbox.iptables("-I OUTPUT -d 192.0.2.1/32 -j ACCEPT")
                            try await rig.sandbox.iptables("-D OUTPUT -d 192.0.2.1/32 -j ACCEPT")
                        }
                    }
                    group.addTask {
                        for _ in 0..<100 {
                            let on = try await rig.on()
                            #expect(on.state != "off")
                            #expect(try await rig.off().state == "off")
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(try await rig.sandbox.rules == before)
                #expect(try await Leftovers.scan(rig.sandbox.pod) == [])
            }
        }

        @Test func everyOneOfManyNamespacesIsListedOnce() async throws {
            try await Rig.with { rig in
                let names = (1...16).map { "\(rig.sandbox.peer)-\($0)" }
                let batch = { (verb: String) in names.map { "netns \(verb) \($0)\n" }.joined() }
                try await scoped {
                    try await rig.sandbox.run(["ip", "-batch", "-"], in: .host, input: batch("add"))
                    try await withThrowingTaskGroup { group in
                        for name in names { group.addTask { _ = try await rig.on(name, owner: "owner of \(name)") } }
                        try await group.waitForAll()
                    }
                    let list = try await rig.list()
                    #expect(Set(list.map(\.netns)) == Set(names) && list.count == names.count)
                    #expect(list.map(\.inode) == list.map(\.inode).sorted())
                    #expect(list.allSatisfy { $0.state == "on" && $0.owner == "owner of \($0.netns)" })
                    #expect(try await rig.call("info").object?["bypassed"] == 16)
                } cleanUp: {
                    try await rig.sandbox.run(["ip", "-force", "-batch", "-"], in: .host, input: batch("delete"))
                }
                try await eventually("all are forgotten") { try await rig.list() == [] }
            }
        }

        /// One that replaces the owner's bypass while `clear` is on its way to it.
        @Test func clearEndsNoBypassThatIsAnotherOwnersByThen() async throws {
            try await Rig.withoutDaemon { rig in
                let faults = try Faults(in: rig.folder.path)
                try await rig.start(environment: faults.environment)
                let names = try await [
                    rig.on(rig.sandbox.pod, owner: "alice"), rig.on(rig.sandbox.peer, owner: "alice"),
                ]
                .sorted { $0.inode < $1.inode }.map(\.netns)
                faults.plan.arm(.stall, at: "open /run/netns/\(names[0])", times: .max)
                async let cleared = rig.call("clear", ["owner": "alice"])
                try await eventually("it is under way") { faults.plan.injected > 0 }
                try await rig.on(names[1], owner: "bob")
                faults.plan.disarm()
                let list = try await cleared.object?["cleared"]?.array?.map { $0.object?["netns"]?.string }
                #expect(list == [names[0]])
                let left = try await rig.list()
                #expect(left.map(\.netns) == [names[1]] && left.map(\.owner) == ["bob"])
                #expect(try await rig.status(names[1]).state == "on")
            }
        }
    }
}
