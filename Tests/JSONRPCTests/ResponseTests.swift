import JSONRPC
import NIOCore
import Testing

@Suite struct ResponseWriterTests {
    private let notification = Incoming.Entry.request(Request(id: nil, method: "m"))

    private func answer(_ incoming: Incoming, _ write: (inout ResponseWriter) -> Void) -> String? {
        var writer = ResponseWriter(answering: incoming)
        write(&writer)
        return writer.finish().map { String(buffer: $0) }
    }

    @Test func answersOneRequestOrNone() {
        #expect(answer(.single(notification)) { _ in } == nil)
        let error = ErrorObject(code: 4, message: "no", data: ["kind": "x"])
        #expect(
            answer(.single(notification)) { $0.write(error: error, id: RequestID(5)) }
                == "{\"jsonrpc\":\"2.0\",\"id\":5,\"error\":{\"code\":4,\"message\":\"no\",\"data\":{\"kind\":\"x\"}}}\n"
        )
    }

    @Test func answersABatchInOneArray() {
        let incoming = Incoming.batch([notification, notification])
        #expect(answer(incoming) { _ in } == nil)
        #expect(
            answer(incoming) { $0.write(result: [1], id: .null) }
                == "[{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":[1]}]\n")
        #expect(
            answer(incoming) {
                $0.write(error: .methodNotFound, id: .string("a"))
                $0.write(result: Int?.none, id: RequestID(2))
            } == """
                [{"jsonrpc":"2.0","id":"a","error":{"code":-32601,"message":"Method not found"}},\
                {"jsonrpc":"2.0","id":2,"result":null}]

                """)
    }

    @Test func replacesAResultThatCannotBeEncoded() {
        let failure = "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32603,\"message\":\"Internal error\"}}"
        var error: (any Error)?
        let single = answer(.single(notification)) {
            error = $0.write(result: ["a": [1, Double.nan]], id: RequestID(1))
        }
        #expect(single == failure + "\n")
        #expect(error is EncodingError)
        #expect(
            answer(.batch([notification])) {
                $0.write(result: Double.nan, id: RequestID(1))
                $0.write(result: 2, id: RequestID(2))
            } == "[\(failure),{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":2}]\n")
    }
}

@Suite struct ClientTests {
    @Test func writesRequestsTheServerReads() throws {
        var buffer = ByteBuffer()
        try RequestWriter.write(method: "a.b", params: ["x": 1], id: .string("i"), into: &buffer)
        RequestWriter.write(method: "n", id: nil, into: &buffer)
        #expect(
            String(buffer: buffer) == """
                {"jsonrpc":"2.0","id":"i","method":"a.b","params":{"x":1}}
                {"jsonrpc":"2.0","method":"n"}

                """)
        var framer = LineFramer()
        framer.feed(buffer)
        guard case .line(let first) = framer.next(), case .line(let second) = framer.next() else {
            return #expect(Bool(false))
        }
        let call = Request(id: .string("i"), method: "a.b", params: .named(["x": 1]))
        #expect(Incoming.read(first) == .single(.request(call)))
        #expect(Incoming.read(second) == .single(.request(Request(id: nil, method: "n"))))
    }

    @Test func sendsNoParamsThatAreNoStructure() {
        var buffer = ByteBuffer(string: "before")
        #expect(throws: EncodingError.self) { try RequestWriter.write(method: "m", params: 1, id: nil, into: &buffer) }
        #expect(throws: EncodingError.self) {
            try RequestWriter.write(method: "m", params: [Double.nan], id: nil, into: &buffer)
        }
        #expect(String(buffer: buffer) == "before")
    }

    @Test func readsResponses() throws {
        let success = try Response.read(ByteBuffer(string: #"{"jsonrpc":"2.0","id":1,"result":null}"#))
        #expect(success == Response(id: RequestID(1), outcome: .success(.null)))
        let failure = try Response.read(
            ByteBuffer(string: #"{"jsonrpc":"2.0","id":null,"error":{"code":-7,"message":"m","data":null,"new":1}}"#))
        let error = ErrorObject(code: -7, message: "m", data: .null)
        #expect(failure == Response(id: .null, outcome: .failure(error)))
    }

    @Test(arguments: [
        #"{"id":1,"result":1}"#, #"{"jsonrpc":"2.0","result":1}"#, #"{"jsonrpc":"2.0","id":1}"#, "[]", "",
        #"{"jsonrpc":"2.0","id":1,"result":1,"error":{"code":1,"message":"m"}}"#,
        #"{"jsonrpc":"2.0","id":1,"error":{"code":1.5,"message":"m"}}"#, #"{"jsonrpc":"2.0","id":1,"error":null}"#,
        #"{"jsonrpc":"2.0","id":1.5,"result":1}"#,
    ])
    func refusesWhatIsNoResponse(_ line: String) {
        #expect(throws: Response.ReadError.self) { try Response.read(ByteBuffer(string: line)) }
    }
}
