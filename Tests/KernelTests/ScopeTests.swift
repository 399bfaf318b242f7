import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension KernelTests {
    /// A bypass for some connections only. The sandbox's are to port 8080, from and to 10.89.0.0/24 and fd89::/64.
    @Suite struct ScopeTests {
        /// A scope, and who answers inside and outside of it.
        struct Case: CustomStringConvertible, Sendable {
            var only: JSONValue?
            var except: JSONValue?
            var ipv4: MeshSandbox.Answer
            var ipv6: MeshSandbox.Answer

            init(_ only: String?, except: String? = nil, ipv4: MeshSandbox.Answer, ipv6: MeshSandbox.Answer) {
                self.only = only.flatMap { try? JSONReader.read($0) }
                self.except = except.flatMap { try? JSONReader.read($0) }
                (self.ipv4, self.ipv6) = (ipv4, ipv6)
            }

            var description: String { "only \(only ?? .null), except \(except ?? .null)" }
        }

        static let cases = [
            Case(#"{"ports":[8080]}"#, ipv4: .app, ipv6: .app),
            // Clients' own ports are in it.
            Case(#"{"ports":["1-8079","8081-65535"]}"#, ipv4: .sidecar, ipv6: .sidecar),
            Case(nil, except: #"{"ports":["8080-8081"]}"#, ipv4: .sidecar, ipv6: .sidecar),
            Case(nil, except: #"{"ports":["1-8079","8081-65535"]}"#, ipv4: .app, ipv6: .app),
            Case(#"{"networks":["10.89.0.0/24"]}"#, ipv4: .app, ipv6: .sidecar),
            Case(#"{"networks":["10.89.1.0/24","fd89::/64"]}"#, ipv4: .sidecar, ipv6: .app),
            Case(#"{"networks":["0.0.0.0/0"]}"#, ipv4: .app, ipv6: .sidecar),
            Case(nil, except: #"{"networks":["::/0"]}"#, ipv4: .app, ipv6: .sidecar),
            Case(#"{"ports":[8080],"networks":["11.0.0.0/8","fd89::/16"]}"#, ipv4: .sidecar, ipv6: .app),
            Case(
                #"{"ports":["8000-9000"]}"#, except: #"{"ports":[8080],"networks":["10.0.0.0/8"]}"#, ipv4: .sidecar,
                ipv6: .app),
        ]

        private static func check(_ sandbox: MeshSandbox, _ scope: Case, _ directions: [MeshSandbox.Direction])
            async throws
        {
            for direction in directions {
                #expect(try await sandbox.whoAnswers(direction, .ipv4) == scope.ipv4, "\(direction) in \(scope)")
                #expect(try await sandbox.whoAnswers(direction, .ipv6) == scope.ipv6, "\(direction) in \(scope)")
            }
        }

        @Test(arguments: MeshSandbox.Mesh.allCases)
        func whatIsNotInTheScopeGoesToTheSidecar(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(mesh)
                for scope in Self.cases {
                    let on = try await rig.on(only: scope.only, except: scope.except)
                    #expect(on.changed == true && on.only == scope.only ?? .null && on.except == scope.except ?? .null)
                    try await Self.check(rig.sandbox, scope, MeshSandbox.Direction.allCases)
                }
                try await rig.off()
                #expect(try await rig.sandbox.paths == .sidecar)
            }
        }

        /// Sixteen of each, with the last of each being the one that counts.
        @Test func sixteenOfEachAreTakenInBothSets() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                func set(_ lastPort: Int, _ lastNetworks: [String]) -> JSONValue {
                    let networks = (1...14).map { $0 % 2 == 0 ? "10.88.\($0).0/24" : "fd88:\($0)::/32" } + lastNetworks
                    return [
                        "ports": .array(
                            (0..<15).map { .number(JSONNumber(8000 + $0)) } + [.number(JSONNumber(lastPort))]),
                        "networks": .array(networks.map { .string($0) }),
                    ]
                }
                let (here, elsewhere) = (set(8080, ["10.89.0.2", "fd89::2"]), set(8081, ["10.89.0.2", "fd89::2"]))
                try await rig.on(only: here, except: elsewhere)
                #expect(try await rig.sandbox.paths == .app)
                try await rig.on(only: here, except: set(8080, ["10.89.0.2", "fd89::3"]))
                try await Self.check(
                    rig.sandbox, Case(nil, ipv4: .sidecar, ipv6: .app), MeshSandbox.Direction.allCases)
                try await rig.on(only: elsewhere)
                #expect(try await rig.sandbox.paths == .sidecar)
                var more = here.object?.members.map { ($0.key, $0.value) } ?? []
                more[0].1 = .array((1...17).map { .number(JSONNumber($0)) })
                let params: [(String, JSONValue)] = [("netns", .string(rig.sandbox.pod)), ("state", "on")]
                let scope = JSONValue.object(JSONObject(uniqueMembers: more))
                #expect(
                    try await rig.refusal("bypass", .object(JSONObject(uniqueMembers: params + [("only", scope)])))
                        == Refusal(code: -32007, kind: "limit-exceeded", limit: "scope-ports"))
                #expect(try await rig.status().only != .null)
            }
        }

        /// What both scopes contain never sees the sidecar while one replaces the other.
        @Test(arguments: MeshSandbox.Mesh.allCases)
        func aScopeIsReplacedAsAWhole(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(mesh)
                let scopes: [JSONValue?] = [["ports": [8080]], ["networks": ["10.0.0.0/8", "fd00::/8"]], nil]
                let first = try await rig.on(only: scopes[0])
                let witnesses = try await rig.sandbox.watching {
                    for round in 1...6 {
                        let on = try await rig.on(only: scopes[round % 3])
                        #expect(on.only == scopes[round % 3] ?? .null && on.changed == true)
                        #expect(on.rules == first.rules)
                    }
                }
                #expect(witnesses.sawOnlyTheApp, "\(witnesses)")
            }
        }

        /// A direction that is added never sees the old scope, and one that goes never sees the new one.
        @Test func aDirectionAndItsScopeComeTogether() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let witnesses = try await rig.sandbox.watching([.inbound]) {
                    for _ in 1...4 {
                        try await rig.on(direction: "outbound")
                        try await rig.on(direction: "inbound", only: ["ports": [1]])
                        try await rig.on(direction: "outbound")
                        try await rig.on(direction: "both", except: ["ports": [8080]])
                    }
                }
                #expect(witnesses.sawOnlyTheSidecar, "\(witnesses)")
            }
        }
    }
}
