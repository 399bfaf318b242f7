import BypassAPI
import JSONRPC
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
                "bypass", "extend", "status", "explain", "trace", "list", "subscribe", "clear", "metrics",
                "info", "rpc.discover",
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

    @Test("Every object and every enumeration has a name, from which a generator makes a type")
    func names() throws {
        var unnamed: [String] = []
        func search(_ value: JSONValue, at path: String) {
            for (key, inner) in value.object?.members.map({ ($0.key, $0.value) }) ?? [] {
                // What `x-combinations` and `not` hold are conditions, and no types.
                if key == "x-combinations" || key == "not" || key == "value" { continue }
                if path == "schemas" { search(inner, at: "schema") } else { search(inner, at: key) }
            }
            for inner in value.array ?? [] { search(inner, at: path) }
            let hasType = value.object?["properties"] != nil || value.object?["enum"] != nil
            if hasType, path != "schema", path != "properties" { unnamed.append("\(path): \(keys(value) ?? [])") }
        }
        for key in ["methods", "components"] { search(try #require(document.object?[key]), at: key) }
        #expect(unnamed == [])
        for call in Sample.calls where call.method != DiscoverMethod.self {
            let schema = try described(call.method.name)["result"]?.object?["schema"]?.object
            #expect(schema?["$ref"] != nil, "\(call.method.name)")
        }
        for name in [
            "BypassEvent", "EventCause", "ErrorData", "ErrorKind", "WarningCode", "LimitName", "Rule",
            "ConnectionEvent",
            "LeftOutConnections", "TraceEnd",
        ] {
            #expect(document.object?["components"]?.object?["schemas"]?.object?[name] != nil, "\(name)")
        }
    }

    @Test("A name under components stands for one schema")
    func oneSchemaEach() {
        var schemas: [String: String] = [:]
        for method in OpenRPCDocument.methods {
            for schema in method.parameters.map(\.schema) + [method.result] + method.notifications.map(\.schema) {
                for component in schema.components {
                    let text = String(decoding: JSONText.bytes(of: component.schema), as: UTF8.self)
                    #expect(schemas.updateValue(text, forKey: component.name) ?? text == text, "\(component.name)")
                }
            }
        }
        #expect(schemas.count > 20)
    }

    @Test("Every method has an example that fits, but that whose result is the document")
    func examples() throws {
        for method in OpenRPCDocument.methods where method != DiscoverMethod.self { try checkExample(of: method) }
    }

    private func checkExample<Method: RPCMethod>(of _: Method.Type) throws {
        let method = try described(Method.name)
        let example = try #require(method["examples"]?.array?.first?.object)
        let given = (example["params"]?.array ?? []).compactMap(\.object).map {
            ($0["name"]?.string ?? "", $0["value"] ?? .null)
        }
        let params = Params.named(JSONObject(uniqueMembers: given))
        _ = try Request(id: nil, method: Method.name, params: params).parameters(of: Method.self)
        var check = SchemaCheck(document: document)
        check.check(example["result"]?.object?["value"] ?? .null, method["result"]?.object?["schema"])
        #expect(check.complaints == [], "\(Method.name)")
    }

    @Test("The events that a subscriber gets are described where it subscribes")
    func events() throws {
        let events = try described("subscribe")["x-notifications"]?.array ?? []
        #expect(events.compactMap { $0.object?["name"]?.string } == BypassEvent.Name.allCases.map(\.rawValue))
        let event = BypassEvent(
            sequence: 5, bypass: Sample.status, cause: .init(by: .init(uid: 1, gid: 2, pid: 3), owner: "alice"),
            damage: ["rule-missing"])
        let given = try json(event)
        for description in events {
            let parameters = description.object?["params"]?.array ?? []
            #expect(parameters.compactMap { $0.object?["name"]?.string } == keys(given))
            var check = SchemaCheck(document: document)
            for parameter in parameters {
                let name = parameter.object?["name"]?.string ?? ""
                check.check(given.object?[name] ?? .null, parameter.object?["schema"], at: name)
            }
            #expect(check.complaints == [])
        }
    }

    @Test("The socket and its framing are in the document")
    func transport() throws {
        let server = try #require(document.object?["servers"]?.array?.first?.object)
        #expect(server["url"] == .string("unix://" + Product.socketPath))
        #expect(server["x-transport"]?.object?["framing"] == "line")
    }

    @Test("Every error that a method names is there, with its code")
    func errors() throws {
        var check = SchemaCheck(document: document)
        let data = check.resolve("#/components/schemas/ErrorData")
        for call in Sample.calls {
            let errors = try described(call.method.name)["errors"]?.array ?? []
            #expect(errors.count == call.method.errors.count)
            for (error, code) in zip(errors, call.method.errors) {
                #expect(error.object?["code"] == .number(JSONNumber(code.rawValue)))
                #expect(error.object?["data"]?.object?["kind"] == .string(code.kind))
                check.check(error.object?["data"] ?? .null, data, at: code.kind)
            }
        }
        #expect(check.complaints == [])
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
