public import StrictJSON

/// The contract for programs: an OpenRPC 1.3 document, made from the method table.
public struct OpenRPCDocument: Codable, JSONWritableObject, Sendable {
    public init() {}

    /// The document's contents are the method table's: a client that needs them reads the JSON.
    public init(from decoder: any Decoder) throws {
        _ = try decoder.container(keyedBy: Key.self)
    }

    /// Every method, in the order in which people should read them.
    public static let methods: [any RPCMethod.Type] = [
        BypassMethod.self, ExtendMethod.self, StatusMethod.self, ExplainMethod.self, TraceMethod.self, ListMethod.self,
        SubscribeMethod.self, ClearMethod.self, MetricsMethod.self, InfoMethod.self, DiscoverMethod.self,
    ]

    private enum Key: CodingKey {
        case openrpc
    }

    public func writeMembers(to text: inout JSONText) {
        text.append(written: Self.members.span)
    }

    /// It is the same for every call.
    private static let members: [UInt8] = {
        var text = JSONText(capacity: 65_536)
        write(to: &text)
        return text.finish()
    }()

    private static func write(to text: inout JSONText) {
        text.member("openrpc", "1.3.2")
        text.member("info") { info in
            info.member("title", Product.name)
            info.member("description", "Takes the sidecar of a service mesh out of a network namespace's traffic.")
            info.member("version", Product.release)
            info.member("license") { $0.member("name", "Apache-2.0") }
        }
        text.append(key: "servers")
        text.array { $0.object(server) }
        text.append(key: "methods")
        text.array { text in
            for method in methods {
                text.separate()
                text.object { write(method, to: &$0) }
            }
        }
        text.member("components") { components in
            components.member("schemas") { schemas in
                for component in Self.components {
                    schemas.append(key: component.name)
                    schemas.append(component.schema)
                }
            }
            components.member("errors") { errors in
                for code in ErrorCode.allCases {
                    errors.append(key: code.kind)
                    errors.object { write(code, to: &$0) }
                }
            }
        }
    }

    private static func server(_ server: inout JSONText) {
        server.member("name", "socket")
        server.member("url", "unix://" + Product.socketPath)
        server.member(
            "description",
            "A Unix stream socket. Each request, and each answer, is one JSON value on a line of its own, ended by LF. "
                + "Integers are written without a fraction or an exponent.")
        server.member("x-transport") { transport in
            transport.member("type", "unix-stream")
            transport.member("path", Product.socketPath)
            transport.member("pathVariable", Product.socketVariable)
            transport.member("framing", "line")
            transport.member("maxLineBytes", Limits().line)
            transport.member("maxBatch", Limits().batch)
        }
    }

    /// Every schema that another one refers to, each once, after those that it refers to itself.
    public static var components: [Schema.Component] {
        var named: Set<String> = []
        let results = methods.flatMap { method in
            method.parameters.map(\.schema) + [method.result]
                + method.notifications.map(\.schema)
        }
        return (results + [ErrorData.schema]).flatMap(\.components).filter {
            named.insert($0.name).inserted
        }
    }

    private static func write<Method: RPCMethod>(_: Method.Type, to text: inout JSONText) {
        text.member("name", Method.name)
        text.member("summary", Method.summary)
        text.member("description", Method.description)
        text.member("paramStructure", "either")
        text.member("params", Array(Method.parameters))
        if !Method.combinations.isEmpty { text.member("x-combinations", Method.combinations) }
        text.member("result") { result in
            result.member("name", "result")
            result.member("schema", Method.result)
        }
        // Not as references: some generators do not follow them here.
        text.append(key: "errors")
        text.array { errors in
            for code in Method.errors {
                errors.separate()
                errors.object { write(code, to: &$0) }
            }
        }
        if let example = Method.example {
            text.append(key: "examples")
            text.array { $0.object { write(example, of: Method.self, to: &$0) } }
        }
        if !Method.notifications.isEmpty { text.member("x-notifications", Method.notifications) }
    }

    private static func write<Method: RPCMethod>(
        _ example: (parameters: Method.Parameters, result: Method.Result), of _: Method.Type, to text: inout JSONText
    ) {
        let given = (try? JSONReader.read(JSONEncoding.bytes(of: example.parameters)))?.object
        text.member("name", Method.name)
        text.append(key: "params")
        text.array { params in
            for member in given?.members ?? [] {
                params.separate()
                params.object { param in
                    param.member("name", member.key)
                    param.member("value", member.value)
                }
            }
        }
        text.member("result") { result in
            result.member("name", "result")
            result.member("value", example.result)
        }
    }

    private static func write(_ code: ErrorCode, to error: inout JSONText) {
        error.member("code", code.rawValue)
        error.member("message", code.meaning)
        error.member("data", code.example)
    }
}

extension Parameter: JSONWritableObject {
    public func writeMembers(to text: inout JSONText) {
        text.member("name", name)
        text.member("summary", summary)
        text.member("required", required)
        text.member("schema", required ? schema : schema.orLeftOut)
    }
}

extension RPCNotification: JSONWritableObject {
    public func writeMembers(to text: inout JSONText) {
        text.member("name", name)
        text.member("summary", summary)
        text.member("paramStructure", "by-name")
        text.append(key: "params")
        text.array { params in
            for parameter in parameters {
                params.separate()
                params.object { param in
                    param.member("name", parameter.name)
                    param.member("required", true)
                    param.member("schema", parameter.schema)
                }
            }
        }
    }
}
