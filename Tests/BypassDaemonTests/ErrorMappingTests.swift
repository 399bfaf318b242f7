import Bypass
import JSONRPC
import StrictJSON
import Testing

@testable import BypassDaemon

@Suite struct ErrorMappingTests {
    private static let cases: [(BypassError, Int, JSONValue?)] = [
        (.permissionDenied("m"), -32001, ["kind": "permission-denied"]),
        (.netnsNotFound("m"), -32002, ["kind": "netns-not-found"]),
        (.notNetns("m"), -32003, ["kind": "not-a-netns"]),
        (.hostNetnsRefused("m"), -32004, ["kind": "host-netns-refused"]),
        (
            .kernelRefused(operation: "setns", errno: "EPERM", detail: "m"), -32005,
            ["kind": "kernel-refused", "operation": "setns", "errno": "EPERM"]
        ),
        (.unsupported("m"), -32006, ["kind": "unsupported"]),
        (.conflict("m"), -32008, ["kind": "conflict"]), (.netnsMismatch("m"), -32009, ["kind": "netns-mismatch"]),
        (.invalidParameter("m"), -32602, nil),
    ]

    @Test("Every error has the contract's code and data, and its sentence", arguments: cases)
    func errors(_ error: BypassError, _ code: Int, _ data: JSONValue?) {
        let object = ErrorObject(error)
        #expect(object.code == code)
        #expect(object.data == data)
        #expect(object.message.contains("m"))
    }

    @Test("What the kernel refused is said to people, too")
    func kernelRefused() {
        let object = ErrorObject(.kernelRefused(operation: "setns", errno: "EPERM", detail: "ask root"))
        for word in ["setns", "EPERM", "ask root"] { #expect(object.message.contains(word)) }
    }

    @Test(
        "Each limit is named for programs, and shown to people with its number",
        arguments: [
            "line", "depth", "batch", "connections", "user-connections", "line-seconds",
            "requests-per-second", "idle-seconds", "unread-seconds",
        ])
    func limits(_ name: String) throws {
        let object = try LimitSample.error(name, 12345)
        #expect(object.code == -32007)
        #expect(object.data == ["kind": "limit-exceeded", "limit": .string(name)])
        #expect(object.message.contains("12345"))
    }
}
