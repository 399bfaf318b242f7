import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension KernelTests {
    /// `connections: "reset"` ends exactly the TCP connections that take the other way than new ones would.
    @Suite struct ResetTests {
        private typealias Connection = MeshSandbox.Connection

        private struct Open {
            var outbound: [Connection] = []
            var inbound: [Connection] = []

            init(_ rig: Rig, _ answer: MeshSandbox.Answer) async throws {
                for family in MeshSandbox.Family.allCases {
                    outbound.append(try await rig.sandbox.connect(.outbound, family))
                    inbound.append(try await rig.sandbox.connect(.inbound, family))
                }
                #expect((outbound + inbound).allSatisfy { $0.greeting == answer })
            }

            /// The answers of those that are open; nil of one that has ended.
            static func ask(_ connections: [Connection]) async throws -> [MeshSandbox.Answer?] {
                var answers: [MeshSandbox.Answer?] = []
                for connection in connections {
                    let answer = try await connection.ask()
                    if case .unanswered(let reason) = answer {
                        // Reported at once, not after a silence.
                        let isTold = ["reset", "abort", "pipe"].contains { reason.contains($0) }
                        #expect(isTold, "\(reason)")
                        answers.append(nil)
                    } else {
                        answers.append(answer)
                    }
                }
                return answers
            }

            func close() { for connection in outbound + inbound { connection.close() } }
        }

        private static func set(
            _ rig: Rig, _ state: String, direction: String? = nil, _ connections: String = "reset",
            only: JSONValue? = nil
        ) async throws -> (answer: BypassAnswer, ended: Int) {
            var members: [(String, JSONValue)] = [
                ("netns", .string(rig.sandbox.pod)), ("state", .string(state)), ("connections", .string(connections)),
            ]
            if let direction { members.append(("direction", .string(direction))) }
            if let only { members.append(("only", only)) }
            let result = try await rig.call("bypass", .object(JSONObject(uniqueMembers: members)))
            guard case .number(let number)? = result.object?["ended"], let ended = Int(exactly: number) else {
                throw ContractViolation(description: "no number ended in \(result)")
            }
            return (try BypassAnswer(result), ended)
        }

        /// `on` replaces expiry, owner and reason: the command in the warning has them, too.
        @Test func theNamedCommandKeepsTheBypassAsItIs() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let open = try await Open(rig, .sidecar)
                let on = try await rig.on(
                    direction: "outbound", ttl: 3600, owner: "it's me", reason: "INC 1", only: ["ports": [8080]])
                let warning = try #require(on.warnings.first { $0.code == "established-connections" })
                let command = try #require(warning.message.split(separator: "`").dropFirst().first)
                let line = command.replacing("kmesh-bypassctl", with: rig.controlTool) + " --socket \(rig.socket)"
                let output = try await rig.sandbox.run(["sh", "-c", String(line)], in: .host)
                #expect(output.contains("2 connections ended"), "\(line): \(output)")
                let after = try await rig.status()
                #expect(after.owner == on.owner && after.reason == on.reason && after.only == on.only)
                #expect(after.direction == "outbound" && after.codes == [])
                #expect(after.expiresAt != nil && command.contains(" --for 3"), "\(command)")
                open.close()
            }
        }

        @Test(arguments: MeshSandbox.Mesh.allCases)
        func onEndsWhatIsInTheProxy(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(mesh)
                let old = try await Open(rig, .sidecar)
                let kept = try await Self.set(rig, "on", "keep")
                #expect(kept.ended == 0 && kept.answer.codes == ["established-connections"])
                #expect(kept.answer.warnings[0].message.hasPrefix("4 "), "\(kept.answer.warnings)")
                #expect(kept.answer.warnings[0].message.contains("kmesh-bypassctl on \(rig.sandbox.pod) --reset"))
                let new = try await Open(rig, .app)
                let reset = try await Self.set(rig, "on")
                #expect(reset.ended == 4 && reset.answer.codes == [] && reset.answer.changed == false)
                #expect(try await Open.ask(old.outbound + old.inbound) == Array(repeating: nil, count: 4))
                #expect(try await Open.ask(new.outbound + new.inbound) == Array(repeating: .app, count: 4))
                #expect(try await rig.sandbox.paths == .app)
                #expect(try await Self.set(rig, "on").ended == 0)
                // And back.
                #expect(try await Self.set(rig, "off").ended == 4)
                #expect(try await Open.ask(new.outbound + new.inbound) == Array(repeating: nil, count: 4))
                #expect(try await rig.sandbox.paths == .sidecar)
                old.close()
                new.close()
            }
        }

        @Test(arguments: [MeshSandbox.Mesh.iptables, .tproxy])
        func onlyTheAskedDirectionIsCountedAndEnds(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(mesh)
                let old = try await Open(rig, .sidecar)
                for direction in ["inbound", "outbound"] {
                    let warning = try await rig.on(direction: direction).warnings.first
                    #expect(warning?.message.hasPrefix("2 ") == true, "\(String(describing: warning))")
                    #expect(warning?.message.contains("--direction \(direction) --reset") == true)
                }
                #expect(try await Self.set(rig, "on", direction: "inbound").ended == 2)
                #expect(try await Open.ask(old.outbound) == [.sidecar, .sidecar])
                #expect(try await Open.ask(old.inbound) == [nil, nil])
                #expect(try await Self.set(rig, "on", direction: "outbound").ended == 2)
                #expect(try await Open.ask(old.outbound) == [nil, nil])
                old.close()
            }
        }

        @Test(arguments: [MeshSandbox.Mesh.iptables, .tproxy])
        func onlyTheScopeIsCountedAndEnds(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(mesh)
                let old = try await Open(rig, .sidecar)
                let kept = try await Self.set(rig, "on", "keep", only: ["networks": ["10.89.0.0/24"]])
                let warning = kept.answer.warnings.first?.message ?? ""
                #expect(warning.hasPrefix("2 ") && warning.contains("--network 10.89.0.0/24 --reset"), "\(warning)")
                #expect(try await Self.set(rig, "on", only: ["networks": ["10.89.0.0/24"]]).ended == 2)
                #expect(try await Open.ask(old.outbound + old.inbound) == [nil, .sidecar, nil, .sidecar])
                let new = try await rig.sandbox.connect(.outbound, .ipv4)
                #expect(new.greeting == .app)
                // The scope becomes another one: what has left it goes back.
                #expect(try await Self.set(rig, "on", only: ["networks": ["fd89::/64"]]).ended == 3)
                #expect(try await Open.ask([new] + old.outbound + old.inbound) == Array(repeating: nil, count: 5))
                old.close()
                new.close()
            }
        }

        /// What a rule of the mesh leaves alone goes past the proxy with a bypass and without: it stays.
        @Test(arguments: ["iptables", "iptables-legacy"])
        func whatTheMeshLeavesAloneStays(_ tool: String) async throws {
            try await Rig.with { rig in
                for rule in [
                    "-A OUTPUT -d 10.80.0.0/12 -p tcp -j RETURN", "-A PREROUTING -p tcp --dport 8080 -j RETURN",
                    "-A OUTPUT -p tcp -j REDIRECT --to-ports 15001",
                    "-A PREROUTING -p tcp -j REDIRECT --to-ports 15006",
                ] { try await rig.sandbox.iptables(rule, tool: tool) }
                let connections = [
                    try await rig.sandbox.connect(.outbound, .ipv4), try await rig.sandbox.connect(.inbound, .ipv4),
                ]
                #expect(try await Self.set(rig, "on").ended == 0)
                #expect(try await Self.set(rig, "off").ended == 0)
                #expect(try await Open.ask(connections) == [.app, .app])
                for connection in connections { connection.close() }
            }
        }

        private static let redirect = "-A OUTPUT -p tcp -j REDIRECT --to-ports 15001"

        /// Where new connections will go after `off` is what all rules say, in their order.
        @Test(
            arguments: [
                // A chain that is left without a verdict exempts nothing.
                (["-N MESH", "-A OUTPUT -j MESH", "-A MESH -d 10.80.0.0/12 -j RETURN", redirect], true),
                ([redirect, "-A OUTPUT -d 10.80.0.0/12 -j RETURN"], true),
                (["-A OUTPUT ! -d 10.80.0.0/12 -j RETURN", redirect], true),
                (["-A OUTPUT -p tcp -m multiport --dports 80,8080 -j RETURN", redirect], false),
                (["-A OUTPUT ! -d 10.80.0.0/12 -p tcp -j REDIRECT --to-ports 15001"], false),
                (["-N MESH", "-A OUTPUT -j MESH", "-A MESH -d 10.80.0.0/12 -j ACCEPT", redirect], false),
                // Either way is possible.
                (["-A OUTPUT -p tcp --sport 1:2 -j RETURN", redirect], nil),
                (["-A OUTPUT -p tcp -m statistic --mode random --probability 0.5 -j RETURN", redirect], nil),
            ] as [([String], Bool?)], ["iptables", "iptables-legacy"])
        func offEndsExactlyWhatWillBeRedirected(_ given: (rules: [String], isEnded: Bool?), _ tool: String) async throws
        {
            try await Rig.with { rig in
                for rule in given.rules { try await rig.sandbox.iptables(rule, tool: tool) }
                try await rig.on()
                let connection = try await rig.sandbox.connect(.outbound, .ipv4)
                #expect(connection.greeting == .app)
                let off = try await Self.set(rig, "off")
                #expect(off.ended == (given.isEnded == true ? 1 : 0))
                #expect(try await Open.ask([connection]) == [given.isEnded == true ? nil : .app])
                let warning = off.answer.warnings.first { $0.code == "established-connections" }?.message
                #expect(
                    (warning?.contains("it is not known") == true) == (given.isEnded == nil), "\(off.answer.warnings)")
                connection.close()
            }
        }

        /// conntrack keeps an entry for some seconds after a reset by the server, and what came from the same port took its
        /// mapping.
        @Test(arguments: MeshSandbox.Mesh.redirecting)
        func whatComesAgainFromTheSamePortTakesTheNewWay(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(mesh)
                for direction in MeshSandbox.Direction.allCases {
                    for family in MeshSandbox.Family.allCases {
                        for state in ["on", "off"] {
                            let (old, new): (MeshSandbox.Answer, MeshSandbox.Answer) =
                                state == "on" ? (.sidecar, .app) : (.app, .sidecar)
                            let ended = try await rig.sandbox.connect(direction, family, from: 40001)
                            #expect(ended.greeting == old)
                            #expect(try await Self.set(rig, state).ended == 1)
                            #expect(try await Open.ask([ended]) == [nil])
                            ended.close()
                            let again = try await rig.sandbox.connect(direction, family, from: 40001)
                            #expect(again.greeting == new, "\(direction) \(family) after \(state)")
                            again.close()
                        }
                    }
                }
            }
        }

        /// The proxy's own connections go past it by rules of the mesh, with a bypass and without.
        @Test func theProxysOwnConnectionsStay() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.sandbox.withConnection(ofUser: 1337) {
                    func proxysOwn() async throws -> Int {
                        let filter = ["state", "established", "( dport = :8080 )"]
                        return try await rig.sandbox.run(["ss", "-Htn"] + filter, in: .pod).split(separator: "\n").count
                    }
                    let old = try await Open(rig, .sidecar)
                    #expect(try await proxysOwn() == 3)
                    #expect(try await Self.set(rig, "on").ended == 4)
                    #expect(try await proxysOwn() == 1)
                    let new = try await Open(rig, .app)
                    #expect(try await Self.set(rig, "off").ended == 4)
                    #expect(try await proxysOwn() == 1)
                    old.close()
                    new.close()
                }
            }
        }
    }
}
