import BypassAPI
import StrictJSON
import Testing

@Suite struct WireTypesTests {
    /// As shared with users, word for word.
    private let example = """
        {"netns":"web","inode":4026532281,"state":"on","changed":true,"effective":true,
         "direction":"both","since":"2026-11-23T23:12:07Z","expiresAt":null,
         "owner":null,"reason":null,"setBy":{"uid":1000,"gid":1000,"pid":4711},
         "rules":[{"family":"ip","table":"nat","chain":"OUTPUT","handle":7,"packets":0,"bytes":0}],
         "warnings":[{"code":"no-interception","message":"..."}]}
        """

    @Test("The contract's example is read as what it says")
    func readsTheExample() throws {
        let result = try JSONDecoding.decode(
            BypassMethod.Result.self, from: try parse(example), unknownMembers: .ignore)
        var status = Sample.status
        (status.generation, status.effect) = (nil, nil)
        #expect(result == BypassMethod.Result(status: status, changed: true))
        #expect(result.inode == 4_026_532_281)
    }

    @Test("What is written has the example's members and those that were added since, nulls included")
    func writesTheExample() throws {
        let written = try json(BypassMethod.Result(status: Sample.status, changed: true))
        let wanted = try parse(example)
        let additions = [
            "generation", "ended", "removed", "effect", "only", "except", "cgroup", "redirected", "expired",
        ]
        #expect(Set(keys(written) ?? []) == Set(keys(wanted) ?? []).union(additions))
        for member in wanted.object?.members ?? [] { #expect(written.object?[member.key] == member.value) }
    }

    @Test(
        "A status without a bypass has its nulls",
        arguments: [
            "direction", "only", "except", "since", "expiresAt", "owner", "reason", "setBy",
        ])
    func explicitNulls(_ key: String) throws {
        #expect(try json(Sample.statusOff).object?[key] == .null)
        let back = try JSONDecoding.decode(BypassStatus.self, from: try json(Sample.statusOff))
        #expect(back == Sample.statusOff)
    }

    @Test("Status has what bypass has, but for what the call did")
    func statusKeys() throws {
        let bypass = try json(BypassMethod.Result(status: Sample.status, changed: true))
        let ofTheCall = ["changed", "ended", "removed"]
        #expect(try keys(json(Sample.status)) == keys(bypass)?.filter { !ofTheCall.contains($0) })
    }

    @Test(
        "Parameters that have no meaning are refused",
        arguments: [
            #"{}"#, #"{"netns":"web"}"#, #"{"netns":"web","state":"maybe"}"#, #"{"netns":"web","state":true}"#,
            #"{"netns":1,"state":"on"}"#, #"{"netns":"web","state":"on","ttl":1.5}"#,
            #"{"netns":"web","state":"on","ttl":"60"}"#, #"{"netns":"web","state":"on","direction":"up"}"#,
            #"{"netns":"web","state":"on","owner":["me"]}"#,
        ])
    func illTyped(_ text: String) throws {
        let value = try parse(text)
        #expect(throws: JSONDecodingError.self) {
            try JSONDecoding.decode(BypassMethod.Parameters.self, from: value)
        }
    }

    @Test("Error codes and kinds are the contract's")
    func errorCodes() {
        let contract = [
            (-32001, "permission-denied"), (-32002, "netns-not-found"), (-32003, "not-a-netns"),
            (-32004, "host-netns-refused"), (-32005, "kernel-refused"), (-32006, "unsupported"),
            (-32007, "limit-exceeded"), (-32008, "conflict"), (-32009, "netns-mismatch"),
        ]
        #expect(ErrorCode.allCases.map(\.rawValue) == contract.map(\.0))
        #expect(ErrorCode.allCases.map(\.kind) == contract.map(\.1))
    }

    @Test("An error's data has only what its kind has")
    func errorData() throws {
        let kernel = ErrorData(.kernelRefused, operation: "setns", errno: "EPERM")
        #expect(
            try json(kernel) == ["kind": "kernel-refused", "operation": "setns", "errno": "EPERM"])
        #expect(try json(ErrorData(.netnsNotFound)) == ["kind": "netns-not-found"])
        #expect(try JSONDecoding.decode(ErrorData.self, from: json(kernel)) == kernel)
    }

    @Test("A commit is eight digits, and says whether it is all that was built")
    func commit() {
        #expect(Product.commitText(0x0aee_99a1, isModified: false) == "0aee99a1")
        #expect(Product.commitText(0xaee, isModified: true) == "00000aee-modified")
        #expect(Product.commitText(0, isModified: true) == nil)
        #expect(Product.fullVersion("0.2.0-dev", commit: "0aee99a1") == "0.2.0-dev (commit 0aee99a1)")
        #expect(Product.fullVersion("0.2.0", commit: nil) == "0.2.0 (commit unknown)")
        #expect(Product.version == Product.release || Product.version == Product.release + "-dev")
    }

    @Test("Limits and where to listen are the contract's")
    func defaults() {
        let limits = Limits()
        #expect(limits.line == 65536)
        #expect(limits.depth == 32)
        #expect(limits.batch == 64)
        #expect(limits.userConnections == 64)
        #expect(limits.connections == 256)
        #expect(limits.lineSeconds == 30)
        #expect(Product.socketPath == "/run/kmesh/bypassd.sock")
        #expect(Product.socketVariable == "KMESH_BYPASSD_SOCKET")
        #expect(Product.protocolVersion == 1)
    }
}
