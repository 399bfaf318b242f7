import JSONRPC
import StrictJSON
import Testing

@Suite struct ResponseWriterTests {
    private let notification = Incoming.Entry.request(Request(id: nil, method: "m"))

    private func answer(_ incoming: Incoming, _ write: (inout ResponseWriter) -> Void) -> String? {
        var writer = ResponseWriter(answering: incoming)
        write(&writer)
        return writer.finish().map { String(decoding: $0, as: UTF8.self) }
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

    @Test func isUsedForOneLineAfterTheOther() {
        var writer = ResponseWriter()
        writer.write(result: true, id: RequestID(1))
        #expect(writer.finish() == Array("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":true}\n".utf8))
        writer.reset(answering: .batch([notification]))
        #expect(writer.finish() == nil)
        writer.write(result: "a", id: RequestID(2))
        let first = Array(writer.takeWritten().joined())
        #expect(writer.writtenBytes == 0)
        writer.write(result: "b", id: RequestID(3))
        #expect(
            String(decoding: first + (writer.finish() ?? []), as: UTF8.self) == """
                [{"jsonrpc":"2.0","id":2,"result":"a"},{"jsonrpc":"2.0","id":3,"result":"b"}]

                """)
        writer.reset(answering: .single(notification))
        #expect(writer.finish() == nil)
    }

    private struct Written: JSONWritable {
        var written: [UInt8]?

        func write(to text: inout JSONText) {}
    }

    @Test func aLargeResultThatIsWrittenAlreadyIsAPieceOfItsOwn() {
        let large = Array(("\"" + String(repeating: "x", count: 100_000) + "\"").utf8)
        var writer = ResponseWriter(answering: .batch([notification]))
        for number in 1...2 { writer.write(result: Written(written: large), id: RequestID(number)) }
        #expect(writer.writtenBytes > 200_000)
        var whole = writer
        let pieces = writer.takeWritten()
        #expect(pieces.count == 5 && pieces[1] == large && pieces[3] == large)
        let rest = writer.finish() ?? []
        #expect(Array(pieces.joined()) + rest == whole.finish())
        #expect((try? JSONReader.read(Array(pieces.joined()) + rest))?.array?.count == 2)
    }
}

@Suite struct ClientTests {
    @Test func writesRequestsTheServerReads() throws {
        let call = Request(id: .string("i"), method: "a.b", params: .named(["x": 1]))
        let notification = Request(id: nil, method: "n")
        let lines = RequestWriter.line(of: call) + RequestWriter.line(of: notification)
        #expect(
            String(decoding: lines, as: UTF8.self) == """
                {"jsonrpc":"2.0","id":"i","method":"a.b","params":{"x":1}}
                {"jsonrpc":"2.0","method":"n"}

                """)
        var framer = LineFramer()
        framer.feed(lines)
        guard case .line(let first) = framer.next(), case .line(let second) = framer.next() else {
            return #expect(Bool(false))
        }
        #expect(Incoming.read(first) == .single(.request(call)))
        #expect(Incoming.read(second) == .single(.request(notification)))
    }

    @Test func writesNotifications() {
        let line = RequestWriter.notification(method: "on", params: ErrorObject(code: 1, message: "m"))
        #expect(
            String(decoding: line, as: UTF8.self)
                == "{\"jsonrpc\":\"2.0\",\"method\":\"on\",\"params\":{\"code\":1,\"message\":\"m\"}}\n")
    }

    @Test func readsResponses() throws {
        let success = try Response.read(#"{"jsonrpc":"2.0","id":1,"result":null}"#.utf8Span.span)
        #expect(success == Response(id: RequestID(1), outcome: .success(.null)))
        let failure = try Response.read(
            #"{"jsonrpc":"2.0","id":null,"error":{"code":-7,"message":"m","data":null,"new":1}}"#.utf8Span.span)
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
        #expect(throws: Response.ReadError.self) { try Response.read(line.utf8Span.span) }
    }
}
