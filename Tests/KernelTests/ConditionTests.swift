import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension KernelTests {
    /// A caller that knows a pod's addresses can name them: in another namespace nothing is done.
    @Suite struct ExpectedAddressTests {
        @Test("One of the addresses is enough, of either family and in any spelling")
        func match() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let pod = rig.sandbox.pod
                let lists: [JSONValue] = [
                    ["10.89.0.1"], ["fd89::1"], ["192.0.2.1", "FD89:0:0:0::0001"], ["127.0.0.1"],
                ]
                for addresses in lists {
                    let params: JSONValue = ["netns": .string(pod), "state": "on", "expectAddresses": addresses]
                    #expect(try await rig.refusal("bypass", params) == nil, "\(addresses)")
                    #expect(try await rig.sandbox.paths == .app, "\(addresses)")
                }
                let off: JSONValue = ["netns": .string(pod), "state": "off", "expectAddresses": ["10.89.0.1"]]
                #expect(try await rig.refusal("bypass", off) == nil)
                #expect(try await rig.sandbox.paths == .sidecar)
            }
        }

        @Test("In a namespace that has none of them nothing is changed", arguments: ["on", "off"])
        func mismatch(_ state: String) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                if state == "off" { _ = try await rig.on() }
                let params: JSONValue = [
                    "netns": .string(rig.sandbox.pod), "state": .string(state),
                    "expectAddresses": ["10.89.0.2", "fd89::2"],
                ]
                #expect(try await rig.refusal("bypass", params) == .mismatch)
                let message = try await rig.message("bypass", params)
                #expect(message?.contains("none of the expected addresses (10.89.0.2, fd89::2)") == true)
                var question: JSONValue = ["netns": .string(rig.sandbox.pod), "expectAddresses": ["10.89.0.2"]]
                #expect(try await rig.refusal("status", question) == .mismatch)
                question = ["netns": .string(rig.sandbox.pod), "expectAddresses": ["10.89.0.2", "10.89.0.1"]]
                #expect(try await rig.refusal("status", question) == nil)
                #expect(try await rig.sandbox.paths == (state == "on" ? .sidecar : .app))
                #expect(try await rig.list().count == (state == "on" ? 0 : 1))
            }
        }

        @Test("What is no address is refused before anything is opened")
        func malformed() async throws {
            try await Rig.with { rig in
                let cases: [(JSONValue, String)] = [
                    ([], "at least one address"), (["10.89.0"], "10.89.0 is not an IPv4 or IPv6 address"),
                    (["10.89.0.1", "fd89::1%eth0"], "is not an IPv4 or IPv6 address"), ([1], "must be a string"),
                    ("10.89.0.1", ""),
                ]
                for (addresses, words) in cases {
                    let params: JSONValue = ["netns": "gone", "state": "on", "expectAddresses": addresses]
                    let refusal = try await rig.refusal("bypass", params)
                    #expect(refusal == .invalidParams, "\(addresses)")
                    let message = try await rig.message("bypass", params)
                    #expect(message?.contains(words) == true, "\(words)")
                }
            }
        }
    }
}

extension KernelTests {
    /// Who ends only what they have begun can say so.
    @Suite struct OwnerTests {
        @Test("A bypass of another owner is neither changed nor ended; one's own, and none, are no obstacle")
        func conflict() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                func call(_ state: String, _ owner: String) async throws -> Refusal? {
                    try await rig.refusal(
                        "bypass",
                        [
                            "netns": .string(rig.sandbox.pod), "state": .string(state), "owner": .string(owner),
                            "ifOwner": .string(owner),
                        ])
                }
                var refusal = try await call("off", "bob")
                #expect(refusal == nil)
                refusal = try await call("on", "alice")
                #expect(refusal == nil)
                refusal = try await call("on", "alice")
                #expect(refusal == nil)
                for state in ["on", "off"] {
                    refusal = try await call(state, "bob")
                    #expect(refusal == .conflict)
                }
                #expect(try await rig.list().map(\.owner) == ["alice"])
                #expect(try await rig.sandbox.paths == .app)
                // A bypass without an owner is another user's, too.
                try await rig.on()
                refusal = try await call("off", "alice")
                #expect(refusal == .conflict)
                // What is over is in no one's way.
                try await rig.on(ttl: 1, owner: "alice")
                try await eventually("it is over") { try await rig.sandbox.paths == .sidecar }
                refusal = try await call("on", "bob")
                #expect(refusal == nil)
            }
        }
    }
}
