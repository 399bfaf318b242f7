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
        BypassMethod.self, ExtendMethod.self, StatusMethod.self, ExplainMethod.self, ListMethod.self,
        SubscribeMethod.self, ClearMethod.self, MetricsMethod.self, InfoMethod.self, DiscoverMethod.self,
    ]

    private enum Key: CodingKey {
        case openrpc
    }

    public func writeMembers(to text: inout JSONText) {
        text.member("openrpc", "1.3.2")
        text.member("info") { info in
            info.member("title", Product.name)
            info.member("description", "Takes the sidecar of a service mesh out of a network namespace's traffic.")
            info.member("version", Product.release)
            info.member("license") { $0.member("name", "Apache-2.0") }
        }
        text.append(key: "methods")
        text.array { methods in
            for method in Self.methods {
                methods.separate()
                methods.object { write(method, to: &$0) }
            }
        }
        text.member("components") { components in
            components.member("schemas") { schemas in
                schemas.append(key: BypassStatus.name)
                schemas.append(Schema.object("The bypass of one namespace.", BypassStatus.properties))
            }
            components.member("errors") { errors in
                for code in ErrorCode.allCases {
                    errors.append(key: code.kind)
                    errors.object { error in
                        error.member("code", code.rawValue)
                        error.member("message", code.meaning)
                    }
                }
            }
        }
    }

    private func write<Method: RPCMethod>(_: Method.Type, to method: inout JSONText) {
        method.member("name", Method.name)
        method.member("summary", Method.summary)
        method.member("description", Method.description)
        method.member("paramStructure", "either")
        method.member("params", Array(Method.parameters))
        method.member("result") { result in
            result.member("name", "result")
            result.member("schema", Method.result)
        }
        method.append(key: "errors")
        method.array { errors in
            for code in Method.errors {
                errors.separate()
                errors.object { $0.member("$ref", "#/components/errors/" + code.kind) }
            }
        }
    }
}

extension Parameter: JSONWritableObject {
    public func writeMembers(to text: inout JSONText) {
        text.member("name", name)
        text.member("summary", summary)
        text.member("required", required)
        text.member("schema", schema)
    }
}
