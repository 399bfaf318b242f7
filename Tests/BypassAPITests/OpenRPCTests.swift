import BypassAPI
import Linux
import StrictJSON
import Testing

@Suite struct OpenRPCTests {
    private let document: JSONValue

    init() throws {
        document = try json(OpenRPCDocument())
    }

    private func described(_ name: String) throws -> JSONObject {
        let methods = try #require(document.object?["methods"]?.array)
        return try #require(methods.lazy.compactMap(\.object).first { $0["name"]?.string == name })
    }

    @Test("The methods are the contract's, each once")
    func methods() {
        let names = document.object?["methods"]?.array?.compactMap { $0.object?["name"]?.string }
        #expect(
            names == [
                "bypass", "extend", "status", "explain", "list", "subscribe", "clear", "metrics", "info",
                "rpc.discover",
            ])
        #expect(Sample.calls.map { $0.method.name } == names)
    }

    @Test("A method's parameters are those that its type has, in the order of their positions")
    func parameters() throws {
        for call in Sample.calls {
            let declared = try described(call.method.name)["params"]?.array ?? []
            let given = try json(call.parameters)
            #expect(keys(given) ?? [] == declared.compactMap { $0.object?["name"]?.string }, "\(call.method.name)")
            var check = SchemaCheck(document: document)
            for parameter in declared {
                let name = parameter.object?["name"]?.string ?? ""
                check.check(given.object?[name] ?? .null, parameter.object?["schema"], at: name)
            }
            #expect(check.complaints == [])
        }
    }

    @Test("Parameters that are required are, and others are not")
    func required() throws {
        let parameters = try described("bypass")["params"]?.array ?? []
        let required = parameters.filter { $0.object?["required"] == true }.compactMap { $0.object?["name"]?.string }
        #expect(required == ["netns", "state"])
        let least = try JSONDecoding.decode(
            BypassMethod.Parameters.self, from: ["netns": "web", "state": "off"])
        #expect(least == BypassMethod.Parameters(netns: "web", state: .off))
    }

    @Test("A result has just the members that are declared")
    func results() throws {
        for call in Sample.calls where call.method != DiscoverMethod.self {
            let schema = try described(call.method.name)["result"]?.object?["schema"]
            for result in call.results {
                var check = SchemaCheck(document: document)
                check.check(try json(result), schema)
                #expect(check.complaints == [], "\(call.method.name)")
            }
        }
    }

    @Test("Every error that a method names is there, with its code")
    func errors() throws {
        let check = SchemaCheck(document: document)
        for call in Sample.calls {
            let references = try described(call.method.name)["errors"]?.array ?? []
            #expect(!references.isEmpty)
            for reference in references.compactMap({ $0.object?["$ref"]?.string }) {
                let error = check.resolve(reference)?.object
                let code = ErrorCode.allCases.first { reference.hasSuffix("/" + $0.kind) }
                #expect(code != nil && error?["code"] == code.map { .number(JSONNumber($0.rawValue)) })
            }
        }
    }

    @Test("What every client may run into, every method names", arguments: ["permission-denied", "limit-exceeded"])
    func commonErrors(_ kind: String) throws {
        for call in Sample.calls { #expect(call.method.errors.contains { $0.kind == kind }, "\(call.method.name)") }
    }

    /// With KMESH_UPDATE_DOCS in the environment the file is updated.
    @Test("proto-docs/openrpc.json is the document, byte for byte")
    func file() throws {
        let bytes = JSONText.bytes(of: OpenRPCDocument())
        let path = repository + "/proto-docs/openrpc.json"
        if isSet("KMESH_UPDATE_DOCS") { try Files.write(bytes, to: path) }
        let kept = try Files.text(path)
        let document = String(decoding: bytes, as: UTF8.self)
        #expect(kept == document, "set KMESH_UPDATE_DOCS=1 and test again to update it")
    }

    private func isSet(_ variable: String) -> Bool {
        let environment = (try? Files.text("/proc/self/environ")) ?? ""
        return environment.split(separator: "\0").contains { $0.hasPrefix(variable + "=") && !$0.hasSuffix("=") }
    }
}
