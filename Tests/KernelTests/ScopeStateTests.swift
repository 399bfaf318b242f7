import Linux
import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension KernelTests {
    /// A scope is kept through all that happens to a bypass.
    @Suite struct ScopeStateTests {
        private static let only: JSONValue = ["ports": [8080, "9000-9100"], "networks": ["10.0.0.0/8"]]
        private static let except: JSONValue = ["ports": [9050]]
        /// IPv4 is in it.
        private static let answers: [MeshSandbox.Answer] = [.app, .sidecar]

        private static func paths(_ rig: Rig) async throws -> [MeshSandbox.Answer] {
            [try await rig.sandbox.whoAnswers(.outbound, .ipv4), try await rig.sandbox.whoAnswers(.outbound, .ipv6)]
        }

        private static func check(_ rig: Rig) async throws {
            let status = try await rig.status()
            #expect(status.state == "on" && status.only == only && status.except == except, "\(status)")
            let list = try await rig.list()
            #expect(list.map(\.only) == [only] && list.map(\.except) == [except])
            #expect(try await paths(rig) == answers)
        }

        @Test func onReplacesItExtendKeepsItAndChangedSaysSo() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let subscriber = try await rig.subscribe()
                #expect(try await rig.on(ttl: 60, only: Self.only, except: Self.except).changed == true)
                #expect(try await subscriber.next().bypass.only == Self.only)
                try await Self.check(rig)
                #expect(try await rig.extend(ttl: 3600).only == Self.only)
                try await Self.check(rig)
                #expect(try await rig.on(only: Self.only, except: Self.except).changed == true)
                // The same, in other words.
                let same: JSONValue = ["ports": ["9000-9100", 8080, 8080], "networks": ["10.0.0.0/8"]]
                #expect(try await rig.on(only: same, except: Self.except).changed == false)
                #expect(try await rig.on(except: Self.except).changed == true)
                let all = try await rig.on()
                #expect(all.changed == true && all.only == .null && all.except == .null)
                #expect(try await rig.sandbox.paths == .app)
                let off = try await rig.off()
                #expect(off.only == .null && off.except == .null)
            }
        }

        @Test(arguments: [#"{"only":{"ports":[1]}}"#, #"{"except":{"ports":[1]}}"#])
        func goesWithOnOnly(_ members: String) async throws {
            try await Rig.with { rig in
                let scope = try JSONReader.read(members).object?.members.map { ($0.key, $0.value) } ?? []
                let params: [(String, JSONValue)] = [("netns", .string(rig.sandbox.pod)), ("state", "off")]
                let object = JSONValue.object(JSONObject(uniqueMembers: params + scope))
                #expect(try await rig.refusal("bypass", object) == .invalidParams)
                let nothing = JSONValue.object(
                    JSONObject(uniqueMembers: [
                        params[0], ("state", "on"), ("only", ["ports": [80]]), ("except", ["ports": ["1-100"]]),
                    ]))
                #expect(try await rig.refusal("bypass", nothing) == .invalidParams)
                #expect(try await rig.status().state == "off")
            }
        }

        /// What a daemon's end can leave of what it knew.
        enum Loss: CaseIterable { case nothing, records, map }

        @Test(arguments: Loss.allCases)
        func outlivesTheDaemon(_ loss: Loss) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let on = try await rig.on(only: Self.only, except: Self.except)
                try rig.daemon.kill(9)
                _ = try await rig.daemon.exit()
                switch loss {
                case .nothing: break
                case .records: try await rig.sandbox.run(["rm", "-r", rig.options.stateDirectory], in: .host)
                case .map: try await rig.sandbox.run(["rm", rig.pin, rig.mapPin], in: .host)
                }
                try await rig.start()
                try await eventually("it is on") { try await rig.list().map(\.state) == ["on"] }
                try await Self.check(rig)
                if loss == .nothing { #expect(try await rig.status().rules == on.rules) }
                // One that was found without a record has one after this.
                try await rig.extend(ttl: 60)
                #expect(try await rig.daemon.terminate() == .code(0))
                try await rig.start()
                try await Self.check(rig)
            }
        }

        @Test func isRepairedWithTheBypass() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.on(only: Self.only, except: Self.except)
                try await rig.removeEntry()
                try await eventually("it is repaired") { try await rig.entries == 1 }
                try await Self.check(rig)
                // As a crash between record and map leaves it.
                var value = try await rig.entry(of: rig.sandbox.pod)
                value.replaceSubrange(24..<value.count, with: Array(repeating: "0", count: value.count - 24))
                try await rig.setEntry(of: rig.sandbox.pod, value)
                try await eventually("it is renewed") { try await rig.status().only == Self.only }
                try await Self.check(rig)
            }
        }

        /// The old record has no scope, and is for every connection.
        @Test func aRecordOfAnEarlierVersionIsRead() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.on(owner: "alice")
                try rig.daemon.kill(9)
                _ = try await rig.daemon.exit()
                let folder = rig.options.stateDirectory
                let log = folder + "/" + (try #require(try Files.entries(in: folder).first)).name
                let text = try Files.text(log)
                let old = text.split(separator: #""only":null,"except":null,"#).joined()
                #expect(old.count < text.count)
                try Files.write(Array(old.utf8), to: log)
                try await rig.start()
                try await eventually("it is on") { try await rig.list().map(\.owner) == ["alice"] }
                let status = try await rig.status()
                #expect(status.state == "on" && status.only == .null && status.except == .null)
                #expect(try await rig.sandbox.paths == .app)
            }
        }
    }
}
