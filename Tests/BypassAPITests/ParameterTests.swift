import BypassAPI
import JSONRPC
import StrictJSON
import Testing

/// A wrong parameter is refused before anything is done, in words that say what would be right.
@Suite struct ParameterTests {
    private func complaint(_ params: Params) -> String? {
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
            (
                ["web", "on", "both", 3_155_760_001],
                "Invalid params: ttl: must be 3155760000 (100 years) or less"
            ),
            (["web", "on", "both", "5"], "Invalid params: ttl: must be an integer"),
            (["web", "on", "both", 5, ""], "Invalid params: owner: must be 1 to 256 bytes long"),
            (["", "on"], "Invalid params: netns: must be 1 to 4095 bytes long"),
        ] as [([JSONValue], String)])
    func refusals(_ values: [JSONValue], _ message: String) {
        #expect(complaint(.positional(values)) == message)
    }

    @Test(arguments: [256, 257])
    func lengthIsInBytes(_ bytes: Int) {
        let owner = String(repeating: "é", count: bytes / 2) + String(repeating: "e", count: bytes % 2)
        let params = Params.named(["netns": "web", "state": "on", "owner": .string(owner)])
        #expect((complaint(params) == nil) == (bytes <= 256))
    }

    @Test func anEmptyReasonIsOne() {
        #expect(complaint(.named(["netns": "web", "state": "off", "reason": ""])) == nil)
    }

    // MARK: the same as by decoding

    private static let values: [JSONValue] = [
        .null, true, 0, 1, -1, .number(JSONNumber(1.5) ?? JSONNumber(1)), "", "web", "on", "both", [], ["a"], [1],
        ["a", 1], [:], .string(String(repeating: "x", count: 5000)),
    ]

    private func outcome<Method: RPCMethod>(_ method: Method.Type, _ params: Params?) -> String {
        do {
            return try text(Request(id: nil, method: Method.name, params: params).parameters(of: method))
        } catch {
            return "\(error)"
        }
    }

    /// What the decoder makes of the parameters, after the method table has been held to each.
    private func decoded<Method: RPCMethod>(_ method: Method.Type, _ object: JSONObject) -> String {
        for parameter in Method.parameters {
            guard let value = object[parameter.name], let violation = parameter.violation(of: value) else { continue }
            return "\(ErrorObject.invalidParams.detailed(violation))"
        }
        do throws(JSONDecodingError) {
            return try text(JSONDecoding.decode(Method.Parameters.self, from: .object(object)))
        } catch {
            return "\(ErrorObject.invalidParams.detailed(error.description))"
        }
    }

    private func text(_ value: some Encodable) -> String { (try? JSONEncoding.text(of: value)) ?? "cannot be encoded" }

    @Test("Parameters are read, and refused, as the decoder would", arguments: OpenRPCDocument.methods.indices)
    func sameAsDecoded(_ method: Int) {
        compare(OpenRPCDocument.methods[method])
    }

    private func compare<Method: RPCMethod>(_ method: Method.Type) {
        let good = JSONObject(
            uniqueMembers: Method.parameters.filter(\.required).map { ($0.name, example($0)) })
        #expect(outcome(method, .named(good)) == decoded(method, good))
        #expect(outcome(method, nil) == decoded(method, [:]))
        for parameter in Method.parameters {
            for value in Self.values {
                let others = good.members.filter { $0.key != parameter.name }.map { ($0.key, $0.value) }
                let object = JSONObject(uniqueMembers: [(parameter.name, value)] + others)
                #expect(outcome(method, .named(object)) == decoded(method, object))
                let alone = JSONObject(uniqueMembers: [(parameter.name, value)])
                #expect(outcome(method, .named(alone)) == decoded(method, alone))
            }
        }
        for count in 0...Method.parameters.count {
            for value in Self.values {
                let object = JSONObject(uniqueMembers: Method.parameters.prefix(count).map { ($0.name, value) })
                #expect(outcome(method, .positional(object.members.map(\.value))) == decoded(method, object))
            }
        }
    }

    private func example(_ parameter: Parameter) -> JSONValue {
        let schema = parameter.schema.resolved
        if let first = schema.values.first { return .string(first) }
        return schema.kind == .integer ? 60 : "web"
    }
}
