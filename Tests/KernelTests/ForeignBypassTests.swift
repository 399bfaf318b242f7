import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension KernelTests {
    /// The rules by which Kmesh's controller bypasses a sidecar, which stay in a pod when it is gone.
    @Suite struct ForeignBypassTests {
        /// What Kmesh's controller executes in a pod when it gets the label, word for word.
        private static let kmesh = ["-I PREROUTING 1 -j RETURN", "-I OUTPUT 1 -j RETURN"]

        private static func offForeign(_ rig: Rig) async throws -> (answer: BypassAnswer, removed: [String]) {
            let members: [(String, JSONValue)] = [
                ("netns", .string(rig.sandbox.pod)), ("state", "off"), ("foreign", true),
            ]
            let result = try await rig.call("bypass", .object(JSONObject(uniqueMembers: members)))
            return (try BypassAnswer(result), result.object?["removed"]?.array?.compactMap(\.string) ?? [])
        }

        private static func answers(_ rig: Rig, _ family: MeshSandbox.Family) async throws -> [MeshSandbox.Answer] {
            try await [rig.sandbox.whoAnswers(.inbound, family), rig.sandbox.whoAnswers(.outbound, family)]
        }

        private static let both = ["foreign-bypass", "foreign-bypass"]

        @Test func whatKmeshLeftIsFoundAndRemoved() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let before = try await rig.sandbox.rules
                for rule in Self.kmesh { try await rig.sandbox.iptables(rule) }
                #expect(try await Self.answers(rig, .ipv4) == [.app, .app])
                #expect(try await Self.answers(rig, .ipv6) == [.sidecar, .sidecar])
                // Found off, and what `off` says is not that connections go to the sidecar.
                let status = try await rig.status()
                #expect(status.state == "off" && status.codes == Self.both)
                for chain in ["PREROUTING", "OUTPUT"] {
                    let words = "ip nat \(chain): -A \(chain) -j RETURN"
                    #expect(status.warnings.contains { $0.message.contains(words) }, "\(status.warnings)")
                }
                #expect(try await rig.off().codes == Self.both)
                for direction in [MeshSandbox.Direction.inbound, .outbound] {
                    let probe = try await rig.explain(direction, .ipv4)
                    #expect(
                        probe.end == "application 8080" && probe.steps.contains { $0.verdict == "return" }, "\(probe)")
                }
                // Found on, behind our rule, where it makes no difference to what is bypassed.
                let on = try await rig.on()
                #expect(on.effective && on.codes == Self.both)
                #expect(try await rig.list().map(\.codes) == [Self.both])
                #expect(try await rig.sandbox.paths == .app)
                #expect(try await rig.off().codes == Self.both)
                #expect(try await Self.answers(rig, .ipv4) == [.app, .app])
                // Removed only when that is asked for, with nothing else.
                let off = try await Self.offForeign(rig)
                #expect(off.answer.changed == true && off.answer.codes == [])
                #expect(
                    off.removed.sorted() == [
                        "ip nat OUTPUT: -A OUTPUT -j RETURN", "ip nat PREROUTING: -A PREROUTING -j RETURN",
                    ])
                #expect(try await rig.sandbox.paths == .sidecar)
                #expect(try await rig.sandbox.rules == before)
                let again = try await Self.offForeign(rig)
                #expect(again.answer.changed == false && again.removed == [])
                #expect(
                    try await rig.refusal(
                        "bypass", ["netns": .string(rig.sandbox.pod), "state": "on", "foreign": true])?.code
                        == -32602)
            }
        }

        /// A bypass that is on ends with them, in one call. A controller that was restarted inserts them again.
        @Test func theyGoWithABypassHoweverMany() async throws {
            try await Rig.withoutDaemon { rig in
                try await rig.withJournal { journal in
                    try await rig.start(rig.journalArguments)
                    try await rig.sandbox.install(.iptables)
                    let before = try await rig.sandbox.rules
                    try await rig.on()
                    for rule in Self.kmesh + Self.kmesh { try await rig.sandbox.iptables(rule) }
                    for _ in 0..<20 { try await rig.sandbox.iptables("-I OUTPUT 1 -j ACCEPT", tool: "ip6tables") }
                    try await rig.sandbox.run(
                        ["nft", "insert", "rule", "ip6", "nat", "PREROUTING", "return"], in: .pod)
                    let off = try await Self.offForeign(rig)
                    #expect(off.removed.count == 25 && off.answer.state == "off" && off.answer.codes == [])
                    #expect(try await rig.sandbox.paths == .sidecar)
                    #expect(try await rig.sandbox.rules == before)
                    let record = try #require(try await journal.records(with: "KMESH_METHOD", "bypass off").first)
                    #expect(record["KMESH_REMOVED"]?.contains("ip nat OUTPUT: -A OUTPUT -j RETURN") == true)
                }
            }
        }

        /// The sidecar gets the connections of a namespace again that no bypass was on in.
        @Test func subscribersAndTheAuditHearOfTheirRemoval() async throws {
            try await Rig.withoutDaemon { rig in
                try await rig.withJournal { journal in
                    try await rig.start(rig.journalArguments)
                    try await rig.sandbox.install(.iptables)
                    let subscriber = try await rig.subscribe()
                    for rule in Self.kmesh { try await rig.sandbox.iptables(rule) }
                    let off = try await Self.offForeign(rig)
                    #expect(off.removed.count == 2)
                    // A call that finds nothing to remove is not an event.
                    _ = try await Self.offForeign(rig)
                    try await rig.on()
                    let event = try await subscriber.next()
                    #expect(event.name == "off" && event.bypass.state == "off" && event.removed == off.removed)
                    #expect(event.bypass.generation == off.answer.generation)
                    #expect(try await subscriber.next().name == "on")
                    let records = try await journal.records(with: "KMESH_METHOD", "bypass off")
                    #expect(
                        records.count == 1 && records.first?["KMESH_REMOVED"] == off.removed.joined(separator: ", "))
                    // One event for both.
                    for rule in Self.kmesh { try await rig.sandbox.iptables(rule) }
                    let both = try await Self.offForeign(rig)
                    let end = try await subscriber.next()
                    #expect(end.name == "off" && end.removed == both.removed && both.removed.count == 2)
                    #expect(try await rig.subscribe().sequence == end.sequence)
                }
            }
        }

        @Test func thoseOfIptablesLegacyAreNamedWithTheirCommand() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptablesLegacy)
                let before = try await rig.sandbox.rules
                for rule in Self.kmesh { try await rig.sandbox.iptables(rule, tool: "iptables-legacy") }
                #expect(try await Self.answers(rig, .ipv4) == [.app, .app])
                #expect(try await rig.off().codes == Self.both)
                let off = try await Self.offForeign(rig)
                #expect(off.removed == [] && off.answer.codes == Self.both)
                for warning in off.answer.warnings {
                    let command = try #require(warning.message.split(separator: "`").dropFirst().first)
                    let words = command.replacing("NETNS", with: "/run/netns/\(rig.sandbox.pod)").split(separator: " ")
                    try await rig.sandbox.run(words.map(String.init), in: .host)
                }
                #expect(try await rig.status().codes == [])
                #expect(try await rig.sandbox.rules == before)
                #expect(try await rig.sandbox.paths == .sidecar)
            }
        }

        /// What looks like them, and is a part of a mesh or of something else.
        @Test func whatLooksLikeThemStays() async throws {
            try await Rig.with { rig in
                // No redirect comes after these.
                for rule in Self.kmesh { try await rig.sandbox.iptables(rule) }
                try await rig.sandbox.iptables("-I OUTPUT 1 -j RETURN", tool: "iptables-legacy")
                #expect(try await rig.status().codes == [])
                for rule in Self.kmesh {
                    try await rig.sandbox.iptables(rule.replacing("1 ", with: "").replacing("-I", with: "-D"))
                }
                try await rig.sandbox.install(.iptables)
                for tool in ["iptables", "iptables-legacy"] {
                    try await rig.sandbox.iptables("-A OUTPUT -j RETURN", tool: tool)
                    try await rig.sandbox.iptables("-I OUTPUT -p tcp -j RETURN", tool: tool)
                    try await rig.sandbox.iptables("-I OUTPUT -d 10.0.0.0/8 -j RETURN", tool: tool)
                    try await rig.sandbox.iptables("-I OUTPUT -o lo -j RETURN", tool: tool)
                    try await rig.sandbox.iptables("-I PREROUTING -m comment --comment mine -j RETURN", tool: tool)
                }
                try await rig.sandbox.run(
                    ["nft", "insert", "rule", "ip6", "nat", "OUTPUT", "counter", "return", "comment", "mine"], in: .pod)
                let before = try await rig.sandbox.rules
                #expect(try await rig.status().codes == [])
                let off = try await Self.offForeign(rig)
                #expect(off.removed == [] && off.answer.changed == false)
                #expect(try await rig.sandbox.rules == before)
            }
        }
    }
}
