import StrictJSON
import Testing

@Suite struct JSONDecodingTests {
    private struct Record: Decodable, Equatable {
        enum Kind: String, Decodable { case a, cname }
        struct Peer: Decodable, Equatable {
            var name: String
            var port: UInt16?
        }
        var ttl: Int32
        var kind: Kind?
        var ratio: Double?
        var enabled: Bool?
        var peers: [Peer]?
        var tags: [String: Int8]?
    }

    private func error(_ text: String) throws -> String? {
        let value = try json(text)
        do throws(JSONDecodingError) {
            _ = try JSONDecoding.decode(Record.self, from: value)
            return nil
        } catch {
            return error.description
        }
    }

    @Test func takesWhatFits() throws {
        let value = try json(
            #"{"ttl":5,"kind":"a","ratio":1,"enabled":false,"peers":[{"name":"x","port":null},{"name":"y","port":1}]}"#)
        let peers = [Record.Peer(name: "x", port: nil), Record.Peer(name: "y", port: 1)]
        let expected = Record(ttl: 5, kind: .a, ratio: 1, enabled: false, peers: peers)
        #expect(try JSONDecoding.decode(from: value) == expected)
    }

    @Test(arguments: [
        (#"{}"#, "ttl: is required"),
        (#"{"ttl":null}"#, "ttl: must be an integer"),
        (#"{"ttl":true}"#, "ttl: must be an integer"),
        (#"{"ttl":"5"}"#, "ttl: must be an integer"),
        (#"{"ttl":5.0}"#, "ttl: must be an integer"),
        (#"{"ttl":5e1}"#, "ttl: must be an integer"),
        (#"{"ttl":2147483648}"#, "ttl: must be between -2147483648 and 2147483647"),
        (#"{"ttl":1,"kind":"mx"}"#, "kind: is not one of the accepted values"),
        (#"{"ttl":1,"kind":3}"#, "kind: must be a string"),
        (#"{"ttl":1,"ratio":1e999}"#, "ratio: is out of range"),
        (#"{"ttl":1,"ratio":"1"}"#, "ratio: must be a number"),
        (#"{"ttl":1,"enabled":1}"#, "enabled: must be true or false"),
        (#"{"ttl":1,"enabled":0}"#, "enabled: must be true or false"),
        (#"{"ttl":1,"peers":{}}"#, "peers: must be an array"),
        (#"{"ttl":1,"peers":[{"name":"x"},{"port":1}]}"#, "peers[1].name: is required"),
        (#"{"ttl":1,"peers":[{"name":"x","port":65536}]}"#, "peers[0].port: must be between 0 and 65535"),
        (#"{"ttl":1,"peers":[7]}"#, "peers[0]: must be an object"),
        (#"{"ttl":1,"tags":{"a b\n":"x"}}"#, #"tags."a b\n": must be an integer"#),
        (#"{"ttl":1,"peers":[{"name":"x","extra":1}]}"#, "peers[0].extra: is not known"),
        (#"{"ttl":1,"\u001b[m":1}"#, #""\u001b[m": is not known"#),
        (#"[]"#, "must be an object"),
    ])
    func saysWhichFieldDoesNotFit(_ text: String, _ message: String) throws {
        #expect(try error(text) == message)
    }

    @Test func ignoresUnknownMembersOnRequest() throws {
        let value = try json(#"{"ttl":1,"new":{},"peers":[{"name":"x","new":1}]}"#)
        let record = try JSONDecoding.decode(Record.self, from: value, unknownMembers: .ignore)
        #expect(record == Record(ttl: 1, peers: [Record.Peer(name: "x")]))
    }

    @Test func takesKeysByBytesOnly() throws {
        struct Kelvin: Decodable {
            enum CodingKeys: String, CodingKey { case temperature = "K" }
            let temperature: Int
        }
        #expect(throws: JSONDecodingError.self) { try JSONDecoding.decode(Kelvin.self, from: json("{\"\u{212A}\":1}")) }
    }

    @Test func givesValuesWhole() throws {
        struct Wrapper: Codable { let a: JSONValue, b: JSONNumber, c: JSONObject, d: JSONValue? }
        let source = #"{"a":[1.50,{"x":-0}],"b":1E2,"c":{"z":1,"y":2},"d":null}"#
        let wrapper: Wrapper = try JSONDecoding.decode(from: json(source))
        #expect(wrapper.d == nil)
        #expect(try text(wrapper) == source)
    }

    @Test func turnsErrorsOfOtherDecodingCodeIntoItsOwn() throws {
        struct Port: Decodable {
            init(from decoder: any Decoder) throws {
                throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: "is taken"))
            }
        }
        let error = try #require(throws: JSONDecodingError.self) {
            try JSONDecoding.decode([String: [Port]].self, from: ["p": [1]])
        }
        #expect(error.description == "p[0]: is taken")
    }
}
