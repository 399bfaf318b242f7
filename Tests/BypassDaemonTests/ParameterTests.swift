import BypassAPI
import JSONRPC
import StrictJSON
import Testing

@testable import BypassDaemon

/// A wrong parameter is refused before anything is done, in words that say what would be right.
@Suite struct ParameterTests {
    private func violation(_ params: Params) -> String? {
        do throws(ErrorObject) {
            _ = try Request(id: RequestID(1), method: "bypass", params: params).parameters(of: BypassMethod.self)
            return nil
        } catch {
            #expect(error.code == -32602)
            return error.message
        }
    }

    @Test(
        arguments: [
            (["web", "onn"], "Invalid params: state: must be on or off"),
            (["web", "on", "up"], "Invalid params: direction: must be both, inbound or outbound"),
            (["web", "on", "both", 0], "Invalid params: ttl: must be 1 or more"),
            (["web", "on", "both", "5"], "Invalid params: ttl: must be an integer"),
            (["web", "on", "both", 5, ""], "Invalid params: owner: must be 1 to 256 bytes long"),
            (["", "on"], "Invalid params: netns: must be 1 to 4095 bytes long"),
        ] as [([JSONValue], String)])
    func refusals(_ values: [JSONValue], _ message: String) {
        #expect(violation(.positional(values)) == message)
    }

    @Test(arguments: [256, 257])
    func lengthIsInBytes(_ bytes: Int) {
        let owner = String(repeating: "é", count: bytes / 2) + String(repeating: "e", count: bytes % 2)
        let params = Params.named(["netns": "web", "state": "on", "owner": .string(owner)])
        #expect((violation(params) == nil) == (bytes <= 256))
    }

    @Test func anEmptyReasonIsOne() {
        #expect(violation(.named(["netns": "web", "state": "off", "reason": ""])) == nil)
    }
}
