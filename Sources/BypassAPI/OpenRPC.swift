/// The contract for programs: an OpenRPC 1.3 document, made from the method table.
public struct OpenRPCDocument: Codable, Sendable {
    public init() {}

    /// The document's contents are the method table's: a client that needs them reads the JSON.
    public init(from decoder: any Decoder) throws {
        _ = try decoder.container(keyedBy: Key.self)
    }

    /// Every method, in the order in which people should read them.
    public static let methods: [any RPCMethod.Type] = [
        BypassMethod.self, ExtendMethod.self, StatusMethod.self, ListMethod.self, SubscribeMethod.self,
        ClearMethod.self, MetricsMethod.self, InfoMethod.self, DiscoverMethod.self,
    ]

    private enum Key: String, CodingKey {
        case openrpc, info, title, version, description, license, name, methods, components, schemas, errors
        case summary, paramStructure, params, result, required, schema, code, message
        case reference = "$ref"
    }

    public func encode(to encoder: any Encoder) throws {
        var document = encoder.container(keyedBy: Key.self)
        try document.encode("1.3.2", forKey: .openrpc)
        var info = document.nestedContainer(keyedBy: Key.self, forKey: .info)
        try info.encode(Product.name, forKey: .title)
        try info.encode(
            "Takes the sidecar of a service mesh out of a network namespace's traffic.", forKey: .description)
        try info.encode(Product.version, forKey: .version)
        var license = info.nestedContainer(keyedBy: Key.self, forKey: .license)
        try license.encode("Apache-2.0", forKey: .name)
        var methods = document.nestedUnkeyedContainer(forKey: .methods)
        for method in Self.methods {
            var container = methods.nestedContainer(keyedBy: Key.self)
            try encode(method, into: &container)
        }
        var components = document.nestedContainer(keyedBy: Key.self, forKey: .components)
        var schemas = components.nestedContainer(keyedBy: Schema.Name.self, forKey: .schemas)
        try schemas.encode(
            Schema.object("The bypass of one namespace.", BypassStatus.properties), forKey: .init(BypassStatus.name))
        var errors = components.nestedContainer(keyedBy: Schema.Name.self, forKey: .errors)
        for code in ErrorCode.allCases {
            var error = errors.nestedContainer(keyedBy: Key.self, forKey: .init(code.kind))
            try error.encode(code.rawValue, forKey: .code)
            try error.encode(code.meaning, forKey: .message)
        }
    }

    private func encode<Method: RPCMethod>(
        _: Method.Type, into method: inout KeyedEncodingContainer<Key>
    ) throws {
        try method.encode(Method.name, forKey: .name)
        try method.encode(Method.summary, forKey: .summary)
        try method.encode(Method.description, forKey: .description)
        try method.encode("either", forKey: .paramStructure)
        var parameters = method.nestedUnkeyedContainer(forKey: .params)
        for parameter in Method.parameters {
            var container = parameters.nestedContainer(keyedBy: Key.self)
            try container.encode(parameter.name, forKey: .name)
            try container.encode(parameter.summary, forKey: .summary)
            try container.encode(parameter.required, forKey: .required)
            try container.encode(parameter.schema, forKey: .schema)
        }
        var result = method.nestedContainer(keyedBy: Key.self, forKey: .result)
        try result.encode("result", forKey: .name)
        try result.encode(Method.result, forKey: .schema)
        var errors = method.nestedUnkeyedContainer(forKey: .errors)
        for code in Method.errors {
            var error = errors.nestedContainer(keyedBy: Key.self)
            try error.encode("#/components/errors/" + code.kind, forKey: .reference)
        }
    }
}
