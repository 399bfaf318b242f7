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
    }
}
