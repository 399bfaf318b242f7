import JSONRPC
import StrictJSON
import Testing

/// A server with the methods the examples of the specification call.
private enum ExampleServer {
    static func answer(_ line: String) -> String? {
        let incoming = read(line)
        var writer = ResponseWriter(answering: incoming)
        switch incoming {
        case .single(let entry): answer(entry, &writer)
        case .batch(let entries): for entry in entries { answer(entry, &writer) }
        }
        return writer.finish().map { String(decoding: $0, as: UTF8.self) }
    }

    private static func answer(_ entry: Incoming.Entry, _ writer: inout ResponseWriter) {
        switch entry {
        case .rejection(let rejection):
            writer.write(error: rejection.error ?? .internalError, id: rejection.id)
        case .request(let request):
            do throws(ErrorObject) {
                let result = try call(request)
                if let id = request.id { writer.write(result: result, id: id) }
            } catch {
                if let id = request.id { writer.write(error: error, id: id) }
            }
        }
    }

    private static func call(_ request: Request) throws(ErrorObject) -> JSONValue {
        switch request.method {
        case "subtract":
            let terms = try request.params?.values(for: ["minuend", "subtrahend"]).compactMap { $0.flatMap(number) }
            guard let terms, terms.count == 2 else { throw .invalidParams }
            return .number(JSONNumber(terms[0] - terms[1]))
        case "sum":
            guard case .positional(let terms) = request.params else { throw .invalidParams }
            return .number(JSONNumber(terms.reduce(0) { $0 + (number($1) ?? 0) }))
        case "get_data": return ["hello", 5]
        case "update", "notify_hello", "notify_sum": return .null
        default: throw .methodNotFound
        }
    }

    private static func number(_ value: JSONValue) -> Int? {
        guard case .number(let number) = value else { return nil }
        return Int(exactly: number)
    }
}

@Suite("The examples of section 7 of the JSON-RPC 2.0 specification")
struct SpecificationExamplesTests {
    struct Example: Sendable, CustomTestStringConvertible {
        let input: String
        let output: String?
        var testDescription: String { input }

        init(_ input: String, _ output: String?) {
            self.input = input
            self.output = output
        }
    }

    static let notObject =
        #"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request: a request must be an object"}}"#

    static let examples = [
        Example(
            #"{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}"#,
            #"{"jsonrpc":"2.0","id":1,"result":19}"#),
        Example(
            #"{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}"#,
            #"{"jsonrpc":"2.0","id":2,"result":-19}"#),
        Example(
            #"{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}"#,
            #"{"jsonrpc":"2.0","id":3,"result":19}"#),
        Example(
            #"{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}"#,
            #"{"jsonrpc":"2.0","id":4,"result":19}"#),
        Example(#"{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}"#, nil),
        Example(#"{"jsonrpc": "2.0", "method": "foobar"}"#, nil),
        Example(
            #"{"jsonrpc": "2.0", "method": "foobar", "id": "1"}"#,
            #"{"jsonrpc":"2.0","id":"1","error":{"code":-32601,"message":"Method not found"}}"#),
        Example(
            #"{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]"#,
            #"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"#
                + #""Parse error: a comma or a closing brace is missing at byte 39"}}"#),
        Example(
            #"{"jsonrpc": "2.0", "method": 1, "params": "bar"}"#,
            #"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"#
                + #""Invalid Request: method must be a string"}}"#),
        Example(
            #"[ {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"}, {"jsonrpc": "2.0", "method" ]"#,
            #"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"#
                + #""Parse error: a colon is missing at byte 97"}}"#),
        Example(
            "[]",
            #"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request: the batch is empty"}}"#),
        Example("[1]", "[\(notObject)]"),
        Example("[1,2,3]", "[\(notObject),\(notObject),\(notObject)]"),
        Example(
            """
            [{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},\
            {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},\
            {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},\
            {"foo": "boo"},\
            {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},\
            {"jsonrpc": "2.0", "method": "get_data", "id": "9"}]
            """,
            """
            [{"jsonrpc":"2.0","id":"1","result":7},\
            {"jsonrpc":"2.0","id":"2","result":19},\
            {"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request: jsonrpc must be \\"2.0\\""}},\
            {"jsonrpc":"2.0","id":"5","error":{"code":-32601,"message":"Method not found"}},\
            {"jsonrpc":"2.0","id":"9","result":["hello",5]}]
            """),
        Example(
            """
            [{"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},\
            {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}]
            """,
            nil),
    ]

    @Test(arguments: examples)
    func answersAsTheSpecificationSays(_ example: Example) {
        #expect(ExampleServer.answer(example.input) == example.output.map { $0 + "\n" })
    }
}
