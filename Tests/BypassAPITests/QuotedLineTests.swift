import BypassAPI
import JSONRPC
import Linux
import StrictJSON
import Testing

/// The requests and answers that the pages quote are whole, and the contract's.
@Suite struct QuotedLineTests {
    private let document: JSONValue

    init() throws {
        document = try json(OpenRPCDocument())
    }

    @Test(arguments: [
        "README.md", "proto-docs/methods.md", "proto-docs/errors.md", "proto-docs/transport.md",
        "proto-docs/programs.md",
    ])
    func lines(_ page: String) throws {
        for line in try Files.text(repository + "/" + page).split(separator: "\n") {
            guard let text = Self.quoted(line) else { continue }
            let value = try parse(text)
            for message in value.array ?? [value] {
                #expect(try complaint(about: try #require(message.object)) == nil, "\(page): \(text)")
            }
        }
    }

    /// A line of JSON-RPC, as it is or in a command of the shell. The OpenRPC document is too long to be quoted.
    private static func quoted(_ line: Substring) -> String? {
        if let command = line.firstMatch(of: #/echo '([\[{].*?[\]}])'/#) { return String(command.1) }
        let isMessage = line.hasPrefix(#"{"jsonrpc""#) || line.hasPrefix(#"[{"jsonrpc""#)
        return isMessage && !line.contains(#""openrpc""#) ? String(line) : nil
    }

    private func complaint(about message: JSONObject) throws -> String? {
        if let result = message["result"] {
            let fits = Sample.calls.contains { call in
                let method = document.object?["methods"]?.array?.first {
                    $0.object?["name"]?.string == call.method.name
                }
                let schema = method?.object?["result"]?.object?["schema"]
                return call.method != DiscoverMethod.self && complaints(result, schema).isEmpty
            }
            return fits ? nil : "it is not the result of any method"
        }
        if let error = message["error"]?.object {
            guard let data = error["data"] else { return nil }
            let schema = document.object?["components"]?.object?["schemas"]?.object?["ErrorData"]
            return complaints(data, schema).first
        }
        let name = message["method"]?.string ?? ""
        let methods = document.object?["methods"]?.array ?? []
        let described = methods.flatMap { $0.object?["x-notifications"]?.array ?? [] }
        if message["id"] == nil, let event = described.first(where: { $0.object?["name"]?.string == name })?.object {
            let parameters = (event["params"]?.array ?? []).compactMap(\.object)
            let given = message["params"]?.object
            guard given?.members.map(\.key) == parameters.compactMap({ $0["name"]?.string }) else {
                return "\(name): other parameters"
            }
            return parameters.lazy.flatMap { parameter in
                complaints(given?[parameter["name"]?.string ?? ""] ?? .null, parameter["schema"])
            }.first.map { "\(name): \($0)" }
        }
        guard let method = OpenRPCDocument.methods.first(where: { $0.name == name }) else {
            return name == "nope" ? nil : "there is no method \(name)"
        }
        return refusal(of: message["params"], by: method)
    }

    private func complaints(_ value: JSONValue, _ schema: JSONValue?) -> [String] {
        var check = SchemaCheck(document: document)
        check.check(value, schema)
        return check.complaints
    }

    private func refusal<Method: RPCMethod>(of params: JSONValue?, by method: Method.Type) -> String? {
        let params: Params? =
            params.flatMap { $0.array.map { .positional($0) } ?? $0.object.map { .named($0) } }
        do throws(ErrorObject) {
            _ = try Request(id: nil, method: Method.name, params: params).parameters(of: method)
            return nil
        } catch {
            return error.message
        }
    }
}
