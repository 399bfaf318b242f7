import JSONRPC
import Linux
import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension KernelTests {
    /// Three readers of one scope: the matcher sends new connections, `explain` says where they go, and a reset ends those
    /// that are open and would go elsewhere now. They agree on random scopes.
    @Suite struct ScopeAgreementTests {
        private typealias Connection = MeshSandbox.Connection

        private static let ports: [JSONValue] = [
            8080, "8080-8081", "8000-8080", "1-8079", "8081-65535", "1-65535", 80, "8079-8081",
        ]
        private static let networks: [JSONValue] = [
            "10.89.0.0/24", "10.89.0.1/32", "10.89.0.2/32", "10.0.0.0/8", "0.0.0.0/0", "10.89.0.2/31", "11.0.0.0/8",
            "fd89::/64", "fd89::1/128", "fd89::2/128", "fd00::/8", "::/0", "fd89::2/127", "fe80::/10",
        ]

        /// KMESH_SCOPES says how many (Tests/run.sh --scopes), KMESH_SEED which.
        private static let rounds = ProcessEnvironment["KMESH_SCOPES"].flatMap { Int($0) } ?? 8
        private static let seed = ProcessEnvironment["KMESH_SEED"].flatMap { UInt64($0) } ?? 13

        /// What a call of `on` asks: a direction, and some ports and networks, or none.
        private static func request(_ pod: String, _ random: inout SplitMix) -> JSONValue {
            var members: [(String, JSONValue)] = [
                ("netns", .string(pod)), ("state", "on"), ("connections", "reset"),
                ("direction", ["inbound", "outbound", "both", "both"].randomElement(using: &random) ?? "both"),
            ]
            for name in ["only", "except"] {
                var set: [(String, JSONValue)] = []
                for (kind, values) in [("ports", ports), ("networks", networks)] {
                    let some = values.shuffled(using: &random).prefix(.random(in: 0...3, using: &random))
                    if !some.isEmpty { set.append((kind, .array(Array(some)))) }
                }
                if !set.isEmpty { members.append((name, .object(JSONObject(uniqueMembers: set)))) }
            }
            return .object(JSONObject(uniqueMembers: members))
        }

        @Test(arguments: MeshSandbox.Mesh.allCases)
        func matcherExplainAndResetAgree(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(mesh)
                let ways = MeshSandbox.Direction.allCases.flatMap { direction in
                    MeshSandbox.Family.allCases.map { (direction, $0) }
                }
                var open: [Connection] = []
                for (direction, family) in ways { open.append(try await rig.sandbox.connect(direction, family)) }
                var random = SplitMix(seed: Self.seed)
                var (direct, proxied) = (0, 0)
                for _ in 0..<Self.rounds {
                    let request = Self.request(rig.sandbox.pod, &random)
                    let answer: JSONValue
                    do {
                        answer = try await rig.call("bypass", request)
                    } catch let refusal as ErrorObject where refusal.message.contains("leaves no connection to bypass")
                    {
                        continue
                    }
                    var expectedEnds = 0
                    for (index, (direction, family)) in ways.enumerated() {
                        let old = open[index]
                        let new = try await rig.sandbox.connect(direction, family)
                        let sidecar = direction == .inbound ? "sidecar 15006" : "sidecar 15001"
                        let explained = try await rig.explain(direction, family).end
                        #expect(
                            explained == (new.greeting == .app ? "application 8080" : sidecar),
                            "\(direction) \(family) went to \(new.greeting): \(request)")
                        let isOpen = try await old.ask() == old.greeting
                        #expect(
                            isOpen == (old.greeting == new.greeting),
                            "\(direction) \(family), \(old.greeting) before and \(new.greeting) now: \(request)")
                        if old.greeting != new.greeting { expectedEnds += 1 }
                        if new.greeting == .app { direct += 1 } else { proxied += 1 }
                        old.close()
                        open[index] = new
                    }
                    #expect(answer.object?["ended"] == .number(JSONNumber(expectedEnds)), "\(request)")
                }
                // Each way was taken often enough for this to mean something.
                #expect(min(direct, proxied) >= Self.rounds / 2, "\(direct) direct, \(proxied) to the sidecar")
                for connection in open { connection.close() }
            }
        }
    }
}
