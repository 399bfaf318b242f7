import JSONRPC
import Linux
import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension KernelTests {
    /// Who may do what, over the real socket, with real accounts.
    @Suite struct AuthorizationTests {
        /// A call, by what it is to show.
        private enum Call: String, CaseIterable {
            case on, onInbound, onForAMinute, onInboundForAMinute, onElsewhere, off, offElsewhere, status, list, info
            case discover, clear, explain, explainElsewhere, hostStatus, hostOff, hostExplain, hostByAnotherName

            func line(_ sandbox: MeshSandbox) -> String {
                let (pod, peer) = (sandbox.pod, sandbox.peer)
                let (method, params) =
                    switch self {
                    case .on: ("bypass", #"["\#(pod)","on"]"#)
                    case .onInbound: ("bypass", #"["\#(pod)","on","inbound"]"#)
                    case .onForAMinute: ("bypass", #"["\#(pod)","on","both",60]"#)
                    case .onInboundForAMinute: ("bypass", #"["\#(pod)","on","inbound",60]"#)
                    case .onElsewhere: ("bypass", #"["\#(peer)","on","inbound",60]"#)
                    case .off: ("bypass", #"["\#(pod)","off"]"#)
                    case .offElsewhere: ("bypass", #"["\#(peer)","off"]"#)
                    case .status: ("status", #"["\#(pod)"]"#)
                    case .list: ("list", "[]")
                    case .info: ("info", "[]")
                    case .discover: ("rpc.discover", "[]")
                    case .clear: ("clear", "[]")
                    case .explain: ("explain", #"["\#(pod)"]"#)
                    case .explainElsewhere: ("explain", #"["\#(peer)"]"#)
                    case .hostExplain: ("explain", #"["host"]"#)
                    case .hostStatus: ("status", #"["host"]"#)
                    case .hostOff: ("bypass", #"["host","off"]"#)
                    case .hostByAnotherName: ("status", #"["/proc/self/ns/net"]"#)
                    }
                return #"{"jsonrpc":"2.0","id":"\#(rawValue)","method":"\#(method)","params":\#(params)}"#
            }
        }

        private static let denied = Refusal(code: -32001, kind: "permission-denied")

        /// Makes every call as one user: what is neither denied nor about the host has to work.
        private static func expect(
            _ denied: Set<Call>, host: Refusal?, as user: User, _ rig: Rig,
            sourceLocation: SourceLocation = #_sourceLocation
        ) async throws {
            let answers = try await rig.lines(as: user, Call.allCases.map { $0.line(rig.sandbox) })
            #expect(answers.count == Call.allCases.count, sourceLocation: sourceLocation)
            for (call, answer) in zip(Call.allCases, answers) {
                let response = try Response(answer)
                var found: Refusal?
                if case .failure(let error) = response.outcome { found = Refusal(error) }
                let isAboutHost = [.hostStatus, .hostOff, .hostExplain].contains(call)
                let refusal = call == .hostByAnotherName ? .host : isAboutHost ? host : nil
                let expected = denied.contains(call) ? Self.denied : refusal
                #expect(found == expected, "\(call) as \(user.name): \(answer)", sourceLocation: sourceLocation)
            }
        }

        /// Of all tests only this one looks at the machine's own file, which it wants to be missing.
        @Test(arguments: ["/etc/kmesh/bypassd.toml", nil])
        func withoutAPolicyFileRootIsAdminAndTheGroupMayBypass(_ file: String?) async throws {
            try await Rig.withoutDaemon { rig in
                try await rig.withUsers(operators: ["operator"], others: ["stranger"]) { users in
                    try await rig.start(file.map { ["--policy", $0] } ?? [])
                    // It answers a moment earlier.
                    try await eventually("it says that it is ready") {
                        try rig.daemon.standardError.contains("ready bypassed=")
                    }
                    #expect(try rig.daemon.standardError.contains("built-in, since") == (file != nil))
                    try await rig.openSocket()
                    let (operator_, stranger) = (try #require(users["operator"]), try #require(users["stranger"]))
                    try await Self.expect([], host: .host, as: .root, rig)
                    try await Self.expect([.clear], host: .host, as: operator_, rig)
                    try await Self.expect(Set(Call.allCases), host: Self.denied, as: stranger, rig)
                }
            }
        }

        @Test func aPolicyFileSaysWhoMayDoWhat() async throws {
            try await Rig.withoutDaemon { rig in
                try await rig.withUsers(
                    operators: ["operator"], others: ["limited", "reader", "admin", "chief", "stranger"]
                ) { users in
                    func user(_ name: String) throws -> User { try #require(users[name]) }
                    try await rig.write(
                        policy: """
                            [[grant]]
                            users = ["\(user("limited").name)"]
                            role = "bypass"
                            namespaces = ["\(rig.sandbox.pod)"]
                            directions = ["inbound"]
                            max-ttl = "1m"

                            [[grant]]
                            users = [\(user("reader").uid)]
                            role = "read"

                            [[grant]]
                            users = ["\(user("admin").name)"]
                            role = "admin"

                            [[grant]]
                            users = ["\(user("chief").name)"]
                            role = "admin"
                            host = true
                            """)
                    try await rig.start()
                    try await rig.openSocket()
                    let changes: Set<Call> = [
                        .on, .onInbound, .onForAMinute, .onInboundForAMinute, .onElsewhere, .off, .offElsewhere, .clear,
                        .hostOff, .explain, .explainElsewhere, .hostExplain,
                    ]
                    try await Self.expect(
                        [.on, .onInbound, .onForAMinute, .onElsewhere, .offElsewhere, .clear, .explainElsewhere],
                        host: .host, as: user("limited"), rig)
                    try await Self.expect(changes, host: .host, as: user("reader"), rig)
                    try await Self.expect([], host: .host, as: user("admin"), rig)
                    try await Self.expect([], host: nil, as: user("chief"), rig)
                    try await Self.expect(Set(Call.allCases), host: nil, as: user("stranger"), rig)
                    // The file is all there is: what the group has without one is not added.
                    try await Self.expect(Set(Call.allCases), host: nil, as: user("operator"), rig)
                    try await Self.expect([], host: .host, as: .root, rig)
                }
            }
        }

        /// Whatever else it is called by, a namespace is the one that it is.
        @Test func aGrantForANameIsForThatNamespaceUnderEveryName() async throws {
            try await Rig.withoutDaemon { rig in
                try await rig.withUsers(others: ["limited"]) { users in
                    let limited = try #require(users["limited"])
                    let (pod, peer) = (rig.sandbox.pod, rig.sandbox.peer)
                    try await rig.write(
                        policy: """
                            [[grant]]
                            users = ["\(limited.name)"]
                            role = "bypass"
                            namespaces = ["\(pod)"]
                            """)
                    try await rig.start()
                    try await rig.openSocket()
                    func refusals(_ names: [String]) async throws -> [Refusal?] {
                        let lines = names.map {
                            #"{"jsonrpc":"2.0","id":1,"method":"bypass","params":["\#($0)","on"]}"#
                        }
                        return try await rig.lines(as: limited, lines).map { answer in
                            guard case .failure(let error) = try Response(answer).outcome else { return nil }
                            return Refusal(error)
                        }
                    }
                    try await rig.sandbox.withProcess(in: .pod) { pid in
                        let allowed = [
                            pod, "/run/netns/\(pod)", "/var/run/netns/\(pod)", "pid:\(pid)", "/proc/\(pid)/ns/net",
                        ]
                        let found = try await refusals(allowed)
                        #expect(found.count == allowed.count && found.allSatisfy { $0 == nil }, "\(found)")
                    }
                    try await rig.sandbox.withProcess(in: .peer) { pid in
                        let others = [
                            peer, "/run/netns/\(peer)", "/run/netns/\(pod)/../\(peer)", "/run/netns/../netns/\(peer)",
                            "pid:\(pid)", "/proc/\(pid)/ns/net",
                        ]
                        let found = try await refusals(others)
                        #expect(found.allSatisfy { $0 != nil }, "\(found)")
                        #expect(found.filter { $0 == Self.denied }.count >= 4, "\(found)")
                    }
                    #expect(try await rig.list().map(\.inode) == [rig.sandbox.inode(of: "/run/netns/\(pod)")])
                }
            }
        }

        /// To give a bypass more time is to turn it on again, with the scope that it has.
        @Test func aGrantCanRequireAScope() async throws {
            try await Rig.withoutDaemon { rig in
                try await rig.withUsers(others: ["limited"]) { users in
                    let limited = try #require(users["limited"])
                    try await rig.write(
                        policy: """
                            [[grant]]
                            users = ["\(limited.name)"]
                            role = "bypass"
                            only-ports = ["8000-9000"]
                            except-networks = ["10.1.0.0/16"]
                            """)
                    try await rig.start()
                    try await rig.openSocket()
                    let pod = rig.sandbox.pod
                    func refusal(_ method: String, _ members: String) async throws -> Refusal? {
                        let params = #"{"netns":"\#(pod)"\#(members)}"#
                        let line = #"{"jsonrpc":"2.0","id":1,"method":"\#(method)","params":\#(params)}"#
                        let answer = try #require(try await rig.lines(as: limited, [line]).first)
                        guard case .failure(let error) = try Response(answer).outcome else { return nil }
                        return Refusal(error)
                    }
                    let within = #","only":{"ports":[8080]},"except":{"networks":["10.0.0.0/8"]}"#
                    #expect(try await refusal("bypass", #","state":"on""#) == Self.denied)
                    #expect(try await refusal("bypass", #","state":"on","only":{"ports":[8080]}"#) == Self.denied)
                    #expect(try await refusal("bypass", #","state":"on","ttl":60"# + within) == nil)
                    #expect(try await refusal("extend", #","ttl":600"#) == nil)
                    try await rig.on(ttl: 60)
                    #expect(try await refusal("extend", #","ttl":600"#) == Self.denied)
                    #expect(try await refusal("bypass", #","state":"off""#) == nil)
                }
            }
        }

        @Test func aReloadCountsAtOnceAndABadOneNotAtAll() async throws {
            try await Rig.withoutDaemon { rig in
                try await rig.withUsers(others: ["reader"]) { users in
                    let reader = try #require(users["reader"])
                    try await rig.start()
                    try await rig.openSocket()
                    let line = #"{"jsonrpc":"2.0","id":1,"method":"info"}"#
                    func isAnswered() async throws -> Bool {
                        try await rig.lines(as: reader, [line]).first?.object?["result"] != nil
                    }
                    #expect(try await !isAnswered())
                    let grant = "[[grant]]\nusers = [\"\(reader.name)\"]\nrole = \"read\"\n"
                    try await rig.write(policy: grant)
                    try rig.daemon.kill(1)
                    try await eventually("the new policy counts") { try await isAnswered() }
                    try await rig.write(policy: grant + "rol = 1\n")
                    try rig.daemon.kill(1)
                    try await eventually("the bad policy is complained about") {
                        try rig.daemon.standardError.contains(":4: ")
                    }
                    #expect(try await isAnswered())
                }
            }
        }

        /// As with LDAP at boot: the daemon is up before the servers of accounts.
        @Test func aNameThatBecomesKnownGetsItsGrantWithoutAReload() async throws {
            try await Rig.withoutDaemon { rig in
                let late = rig.sandbox.pod.replacing("-pod", with: "-late")
                try await rig.write(policy: "[[grant]]\nusers = [\"\(late)\"]\nrole = \"read\"\n")
                try await rig.start()
                try await rig.openSocket()
                try await eventually("it is reported") {
                    try rig.daemon.standardError.contains("\(rig.policyFile):2: users: no user is named")
                }
                try await rig.withUsers(others: ["late"]) { users in
                    let user = try #require(users["late"])
                    let line = #"{"jsonrpc":"2.0","id":1,"method":"info"}"#
                    try await eventually("the grant applies") {
                        try await rig.lines(as: user, [line]).first?.object?["result"] != nil
                    }
                }
            }
        }

        @Test func aPolicyFileThatIsNamedMustBeThere() async throws {
            try await Rig.withoutDaemon { rig in
                try await rig.sandbox.run(["rm", rig.policyFile], in: .host)
                let ending = try await rig.sandbox.result(of: rig.command())
                #expect(ending.code == 78 && ending.errors.count == 1, "\(ending)")
                #expect(ending.errors[0].contains("there is no \(rig.policyFile)"), "\(ending)")
                // A running one keeps what it has.
                try await rig.write(policy: "")
                try await rig.start()
                try await rig.sandbox.run(["rm", rig.policyFile], in: .host)
                try rig.daemon.kill(1)
                try await eventually("the reload fails") {
                    try rig.daemon.standardError.contains("policy not reloaded")
                }
                #expect(try await rig.list() == [])
            }
        }

        @Test func aDaemonDoesNotStartWithABadPolicy() async throws {
            try await Rig.withoutDaemon { rig in
                try await rig.write(policy: "[[grant]]\nusers = []\nrole = \"king\"\n")
                let ending = try await rig.sandbox.result(of: rig.command())
                #expect(ending.code == 78)
                #expect(ending.errors.contains { $0.contains("\(rig.policyFile):2: ") }, "\(ending.errors)")
                #expect(ending.errors.contains { $0.contains("\(rig.policyFile):3: ") }, "\(ending.errors)")
                #expect(!Files.exists(rig.pin) && !Files.exists(rig.mapPin))
            }
        }
    }
}
