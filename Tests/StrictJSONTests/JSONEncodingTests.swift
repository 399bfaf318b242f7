import StrictJSON
import Testing

@Suite struct JSONEncodingTests {
    private struct Item: Encodable {
        enum Kind: String, Encodable { case file, folder }
        var zeta = 1
        var alpha: String? = nil
        var size: Int? = nil
        var child: [Item]? = nil
        var kind: Kind? = .folder
        var ratio = 0.5
        var flags: [Bool] = [true, false]
        var huge = UInt128.max
        var raw: JSONValue = .null
    }

    @Test func keepsTheOrderOfMembersAndWritesNulls() throws {
        let inner = #""huge":340282366920938463463374607431768211455,"raw":null}"#
        let leaf = #"{"zeta":1,"alpha":null,"size":null,"child":null,"kind":"folder","ratio":0.5,"flags":[true,false],"#
        #expect(try text(Item()) == leaf + inner)
        let parent = #"{"zeta":1,"alpha":"x","size":7,"child":[\#(leaf + inner),\#(leaf + inner)],"kind":null,"#
        let item = Item(alpha: "x", size: 7, child: [Item(), Item()], kind: nil)
        #expect(try text(item) == parent + #""ratio":0.5,"flags":[true,false],"# + inner)
    }

    private struct AllOptional: Codable, Equatable {
        var a: Bool?
        var b: String?
        var c: Double?
        var d: Float?
        var e: Int?
        var f: Int8?
        var g: Int16?
        var h: Int32?
        var i: Int64?
        var j: Int128?
        var k: UInt?
        var l: UInt8?
        var m: UInt16?
        var n: UInt32?
        var o: UInt64?
        var p: UInt128?
        var q: [Int]?
    }

    @Test func writesNullForAbsentMembersOfEveryType() throws {
        let expected = "abcdefghijklmnopq".map { "\"\($0)\":null" }.joined(separator: ",")
        #expect(try text(AllOptional()) == "{\(expected)}")
    }

    @Test func decodesWhatItEncoded() throws {
        let value = AllOptional(
            a: true, b: "é\n", c: 1.25e-7, d: 0.1, e: .min, f: .min, g: .max, h: .min, i: .max, j: .min, k: .max,
            l: .max, m: .max, n: .max, o: .max, p: .max, q: [1, -2])
        #expect(try JSONDecoding.decode(AllOptional.self, from: json(try text(value))) == value)
        #expect(try JSONDecoding.decode(AllOptional.self, from: json(try text(AllOptional()))) == AllOptional())
        #expect(try JSONDecoding.decode(AllOptional.self, from: json("{}")) == AllOptional())
    }

    @Test func escapesWhatATerminalWouldActOn() throws {
        #expect(try text("\"\\/\n\r\t\u{8}\u{C}\0\u{1B}\u{1F}") == #""\"\\/\n\r\t\u0008\u000c\u0000\u001b\u001f""#)
        #expect(
            try text("a\u{7F}\u{80}\u{9B}\u{9F}\u{A0}b\u{2027}\u{2028}\u{2029}\u{202A}")
                == "\"a\\u007f\\u0080\\u009b\\u009f\u{A0}b\u{2027}\\u2028\\u2029\u{202A}\"")
        #expect(try text(["k\u{1B}é": "\u{80}𝄞\u{80}"]) == "{\"k\\u001bé\":\"\\u0080𝄞\\u0080\"}")
    }

    @Test func everyScalarComesBack() throws {
        let scalars = (0...0x10FFFF).lazy.compactMap { Unicode.Scalar(UInt32($0)) }
        var all = ""
        all.unicodeScalars.append(contentsOf: scalars)
        let encoded = try text(all)
        #expect(encoded.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control })
        #expect(try json(encoded).string?.utf8.elementsEqual(all.utf8) == true)
    }

    @Test(arguments: [Double.nan, .infinity, -.infinity])
    func refusesNumbersThatAreNotFinite(_ number: Double) {
        #expect(throws: EncodingError.self) { try text(["a": [1, number]]) }
        #expect(throws: EncodingError.self) { try text(Float(number)) }
    }

    @Test func writesScalarsAndEmptyThings() throws {
        struct Nothing: Encodable {}
        #expect(try text(Nothing()) == "{}")
        #expect(try text([Nothing(), Nothing()]) == "[{},{}]")
        #expect(try text([Int]()) == "[]")
        #expect(try text(Int?.none) == "null")
        #expect(try text([1, nil, 3]) == "[1,null,3]")
        #expect(try text(1e300) == "1e+300")
        #expect(try text([[["a"]]]) == #"[[["a"]]]"#)
    }

    private class Base: Encodable {
        var base = 1
    }

    private final class Derived: Base {
        var derived = [2]
        private enum CodingKeys: CodingKey { case derived }
        override func encode(to encoder: any Encoder) throws {
            try super.encode(to: encoder)
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(derived, forKey: .derived)
        }
    }

    @Test func joinsTheMembersOfAClassAndItsSuperclass() throws {
        #expect(try text(Derived()) == #"{"base":1,"derived":[2]}"#)
    }

    /// Encodes by a closure.
    private struct Custom: Encodable {
        let body: (any Encoder) throws -> Void
        func encode(to encoder: any Encoder) throws { try body(encoder) }
    }

    private enum Key: CodingKey { case a, b, c }

    @Test func writesNestedContainers() throws {
        let value = Custom { encoder in
            var outer = encoder.container(keyedBy: Key.self)
            var list = outer.nestedUnkeyedContainer(forKey: .a)
            try list.encode(1)
            var object = list.nestedContainer(keyedBy: Key.self)
            try object.encode("x", forKey: .b)
            var inner = list.nestedUnkeyedContainer()
            try inner.encodeNil()
            try list.encode(list.count)
            try outer.encode(true, forKey: .c)
        }
        let expected = #"{"a":[1,{"b":"x"},[null],3],"c":true}"#
        #expect(try text([value, value]) == "[\(expected),\(expected)]")
    }

    @Test func refusesMisuseOfContainers() {
        let lateWrite = Custom { encoder in
            var outer = encoder.container(keyedBy: Key.self)
            var inner = outer.nestedUnkeyedContainer(forKey: .a)
            try outer.encode(1, forKey: .b)
            try? inner.encode(2)
        }
        let twoValues = Custom { encoder in
            var container = encoder.singleValueContainer()
            try container.encode(1)
            try container.encode(2)
        }
        let superEncoder = Custom { encoder in
            var container = encoder.container(keyedBy: Key.self)
            try Base().encode(to: container.superEncoder())
        }
        for value in [lateWrite, twoValues, superEncoder] {
            #expect(throws: EncodingError.self) { try text([value]) }
        }
    }
}
