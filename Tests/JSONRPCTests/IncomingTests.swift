import JSONRPC
import StrictJSON
import Testing

@Suite struct RequestIDTests {
    @Test(arguments: [
        "0", "-0", "1", "-7", "9007199254740993", "18446744073709551616", "1234567890123456789012345678901234567890",
        #""""#, #""a""#, #""\"\\""#, "null",
    ])
    func comesBackAsItWas(_ id: String) throws {
        let call = try #require(request(#"{"jsonrpc":"2.0","method":"m","id":\#(id)}"#))
        var writer = ResponseWriter(answering: .single(.request(call)))
        writer.write(result: true, id: try #require(call.id))
        let answer = writer.finish() ?? []
        #expect(String(decoding: answer, as: UTF8.self) == "{\"jsonrpc\":\"2.0\",\"id\":\(id),\"result\":true}\n")
    }

    @Test(arguments: ["1.5", "1.0", "1e2", "true", "[]", "{}"])
    func isAStringAnIntegerOrNull(_ id: String) {
        let refusal = rejection(#"{"jsonrpc":"2.0","method":"m","id":\#(id)}"#)
        #expect(refusal?.error?.code == -32600)
        #expect(refusal?.id == .null)
    }

    @Test func absentMakesANotification() {
        #expect(request(#"{"jsonrpc":"2.0","method":"m"}"#)?.isNotification == true)
        #expect(request(#"{"jsonrpc":"2.0","method":"m","id":null}"#)?.isNotification == false)
    }
}

@Suite struct IncomingTests {
    @Test(arguments: [
        #""id":7,"method":"m""#, #""id":7,"method":"m","jsonrpc":2.0"#, #""id":7,"method":"m","jsonrpc":"2.00""#,
        #""id":7,"method":"m","jsonrpc":"1.0""#, #""id":7,"jsonrpc":"2.0""#, #""id":7,"jsonrpc":"2.0","method":null"#,
        #""id":7,"jsonrpc":"2.0","method":["m"]"#, #""id":7,"jsonrpc":"2.0","method":"m","params":null"#,
        #""id":7,"jsonrpc":"2.0","method":"m","params":1"#, #""id":7,"jsonrpc":"2.0","method":"m","params":"p""#,
    ])
    func invalidRequestsKeepTheirID(_ members: String) {
        #expect(rejection("{\(members)}")?.error?.code == -32600)
        #expect(rejection("{\(members)}")?.id == RequestID(7))
    }

    @Test(arguments: ["1", "null", #""m""#, "true", "{}"])
    func whatIsNoRequestIsInvalid(_ line: String) {
        #expect(rejection(line)?.error?.code == -32600)
        #expect(rejection(line)?.id == .null)
    }

    @Test func ignoresFurtherMembers() {
        let expected = Request(id: .string("1"), method: "m", params: .named(["a": 1]))
        #expect(request(#"{"trace":[],"id":"1","method":"m","params":{"a":1},"jsonrpc":"2.0"}"#) == expected)
    }

    @Test func duplicateKeysAnywhereMakeTheLineUnreadable() {
        for line in [
            #"{"jsonrpc":"2.0","method":"m","id":1,"id":2}"#, #"{"jsonrpc":"2.0","method":"m","id":1,"\u0069d":1}"#,
            #"[{"jsonrpc":"2.0","method":"m","id":1,"x":{"id":2,"id":3}}]"#,
        ] {
            #expect(rejection(line)?.id == .null)
            #expect(rejection(line)?.error?.code == -32700)
            #expect(rejection(line)?.error?.message.contains("duplicate key \"id\"") == true)
        }
    }

    @Test func boundsTheBatch() {
        let one = #"{"jsonrpc":"2.0","method":"m"}"#
        func batch(_ count: Int) -> String { "[" + Array(repeating: one, count: count).joined(separator: ",") + "]" }
        guard case .batch(let entries) = read(batch(64)) else { return #expect(Bool(false)) }
        #expect(entries.count == 64)
        #expect(rejection(batch(65)) == Rejection(id: .null, reason: .limitExceeded(.batch, allowed: 64)))
        #expect(rejection(batch(3), limits: .init(batch: 2))?.reason == .limitExceeded(.batch, allowed: 2))
        #expect(rejection(batch(65))?.error == nil)
    }

    @Test func boundsTheDepth() {
        func line(_ depth: Int) -> String {
            let params = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
            return #"{"jsonrpc":"2.0","id":1,"method":"m","params":\#(params)}"#
        }
        #expect(request(line(31)) != nil)
        #expect(rejection(line(32)) == Rejection(id: .null, reason: .limitExceeded(.depth, allowed: 32)))
        #expect(rejection(line(2), limits: .init(depth: 2))?.reason == .limitExceeded(.depth, allowed: 2))
        #expect(Rejection.Limit.depth.rawValue == "depth")
    }

    @Test func aBatchKeepsTheOrderOfItsEntries() {
        guard case .batch(let entries) = read(#"[1,{"jsonrpc":"2.0","method":"m"},{"id":"x"}]"#) else {
            return #expect(Bool(false))
        }
        #expect(
            entries == [
                .rejection(Rejection(id: .null, reason: .invalidRequest("a request must be an object"))),
                .request(Request(id: nil, method: "m")),
                .rejection(Rejection(id: .string("x"), reason: .invalidRequest("jsonrpc must be \"2.0\""))),
            ])
    }
}

@Suite struct ParamsTests {
    private let names = ["name", "ttl"]

    private func message(_ params: Params, _ names: [String]) -> String? {
        do throws(ErrorObject) {
            _ = try params.values(for: names)
            return nil
        } catch {
            return error.code == -32602 ? error.message : nil
        }
    }

    @Test func areBoundByPositionOrName() throws {
        #expect(try Params.positional(["a", 5]).values(for: names) == ["a", 5])
        #expect(try Params.positional(["a"]).values(for: names) == ["a"])
        #expect(try Params.positional([]).values(for: []) == [])
        #expect(try Params.named(["ttl": 5, "name": "a"]).values(for: names) == ["a", 5])
        #expect(try Params.named(["ttl": 5]).values(for: names) == [nil, 5])
    }

    @Test func areRefusedWhenTooManyOrUnknown() {
        let takes = "the method takes name, ttl"
        #expect(message(.positional(["a", 5, 6]), names) == "Invalid params: 3 parameters given, \(takes)")
        #expect(message(.named(["Ttl": 1]), names) == "Invalid params: unknown parameter \"Ttl\", \(takes)")
        let takesNone = "the method takes none"
        #expect(message(.positional([1]), []) == "Invalid params: 1 parameter given, \(takesNone)")
        #expect(message(.named(["\u{1B}": 1]), []) == "Invalid params: unknown parameter \"\\u001b\", \(takesNone)")
    }
}
