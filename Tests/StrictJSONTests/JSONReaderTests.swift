import StrictJSON
import Testing

@Suite struct JSONReaderTests {
    @Test(arguments: [
        "0", "-0", "1", "-1", "10", "123456789012345678901234567890", "0.5", "-0.0", "1.0", "1e5", "1E+5", "1e-05",
        "0e0", "0E+1", "1.5e300", "1e400", "-9223372036854775808",
        "true", "false", "null", #""""#, "[]", "{}", "[ ]", "{ }", " [1] ", "\t\r\n1\n", #"{"a":1,"b":[{}]}"#,
        "[1 , 2]", #"{"" : 0}"#, #"["\u0061","\"\\\/\b\f\n\r\t"]"#, #""\uD834\udd1e""#, #""\u0000""#, "\"\u{7F}\"",
        "\"\u{2028}\"", "\"€𝄞\"", "\"\u{10FFFF}\"", #"{"a":1,"A":2}"#,
    ])
    func accepts(_ text: String) throws {
        _ = try json(text)
    }

    @Test(arguments: [
        "", " ", "+1", "01", "-01", "00", ".5", "1.", "-", "--1", "1.e5", "1e", "1e+", "1e1.5", "0x1", "1_000", "1 2",
        "NaN", "Infinity", "-Infinity", "nul", "nulll", "True", "'a'", "a", "[", "]", "{", "}", "[1", "[1,", "[1,]",
        "[,1]", "[1,,2]", "[1 2]", "[1}", #"{"a"}"#, #"{"a":}"#, #"{"a":1,}"#, #"{"a" 1}"#, #"{a:1}"#, #"{1:1}"#,
        #"{"a":1"#, #"{"a":1]"#, #"{"a":1 "b":2}"#, #"{,"a":1}"#, "[]]", "{}{}", "1//", "/**/1", "[1]#", "\u{FEFF}1",
        "\u{A0}1", "\u{C}1", "\0", "1\0", #"""#, #""a"#, #""\"#, #""\""#, #""\x41""#, #""\u""#, #""\u00""#,
        #""\u00G0""#, #""\u+041""#, #""\U0041""#, #""\uD800""#, #""\uDC00""#, #""\uD800a""#, #""\uD800\n""#,
        #""\uD800\u0041""#, #""\uD800\uD800""#, #""\uDC00\uD800""#, #""\uD800\u""#, "\"\n\"", "\"\t\"", "\"\0\"",
        "\"\u{1F}\"", "\"\\\u{A}\"",
    ])
    func refuses(_ text: String) {
        #expect(throws: JSONReadError.self) { try json(text) }
    }

    static let notUTF8: [[UInt8]] = [
        [0x80], [0xBF], [0xC0, 0x80], [0xC1, 0xBF], [0xC3], [0xE2, 0x82], [0xE0, 0x80, 0x80], [0xE0, 0x9F, 0xBF],
        [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xF0, 0x80, 0x80, 0x80], [0xF0, 0x8F, 0xBF, 0xBF],
        [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xF8, 0x88, 0x80, 0x80, 0x80], [0xFE], [0xFF],
        [0xC3, 0x28], [0xE9],
    ]

    @Test(arguments: notUTF8)
    func refusesBytesThatAreNotUTF8(_ bytes: [UInt8]) {
        let quote = UInt8(ascii: "\"")
        let texts = [[quote] + bytes + [quote], Array(#"["a\n"#.utf8) + bytes + Array(#"\n"]"#.utf8), bytes + [0x31]]
        for text in texts {
            #expect(throws: JSONReadError.self) { try JSONReader.read(text) }
            #expect(throws: JSONReadError.self) { try JSONReader.read(text.span) }
        }
    }

    @Test func refusesOtherEncodingsOfUnicode() {
        #expect(throws: JSONReadError.self) { try JSONReader.read([0x31, 0x00]) }
        #expect(throws: JSONReadError.self) { try JSONReader.read([0xFF, 0xFE, 0x31, 0x00]) }
    }

    @Test func unescapesStrings() throws {
        #expect(try json(#""a\u0062c\"\\\/\b\f\n\r\t\uD834\uDD1Ez""#) == .string("abc\"\\/\u{8}\u{C}\n\r\t𝄞z"))
        let scalars = try json(#""\u00e9\uFFFF\ud7ff\uE000""#).string?.unicodeScalars.map(\.value)
        #expect(scalars == [0xE9, 0xFFFF, 0xD7FF, 0xE000])
    }

    @Test func keepsOrderAndText() throws {
        let value = try json(#" { "z" : [ -0 , 1.50 , 1E+2 ] , "a" : { "y" : null , "b" : true } } "#)
        #expect(try text(value) == #"{"z":[-0,1.50,1E+2],"a":{"y":null,"b":true}}"#)
        #expect(value.object?["a"]?.object?["y"] == .null)
        #expect(value.object?["y"] == nil)
    }

    @Test func saysWhereAndWhat() {
        #expect(throws: JSONReadError.malformed(reason: "a number has a leading zero", offset: 2)) { try json("[01]") }
        #expect(throws: JSONReadError.malformed(reason: "a string is not UTF-8", offset: 3)) {
            try JSONReader.read([0x20, 0x22, 0x61, 0xFF, 0x22])
        }
        let error = JSONReadError.malformed(reason: "a colon is missing", offset: 7)
        #expect(error.description == "a colon is missing at byte 7")
    }
}

@Suite struct DuplicateKeyTests {
    @Test(arguments: [
        (#"{"a":1,"a":2}"#, 7), (#"{"a":1,"\u0061":2}"#, 7), (#"{"":0,"":0}"#, 6), (#"[{"x":{"é":0,"\u00E9":0}}]"#, 14),
        (#"{"a":1,"b":2,"a":1}"#, 13), (#"{"\ud834\udd1e":1,"𝄞":2}"#, 18),
    ])
    func areRefused(_ text: String, offset: Int) throws {
        let error = try #require(throws: JSONReadError.self) { try json(text) }
        guard case .malformed(let reason, offset) = error else { return #expect(Bool(false), "\(error)") }
        #expect(reason.hasPrefix("duplicate key \""))
    }

    @Test func areComparedByBytes() throws {
        let object = try #require(try json(#"{"\u00e9":1,"e\u0301":2,"K":3,"\u212a":4}"#).object)
        #expect(object.count == 4)
        #expect(object["e\u{301}"] == 2)
        #expect(object["\u{E9}"] == 1)
        #expect(object["\u{212A}"] == 4)
    }

    @Test func areFoundAmongMany() throws {
        let members = (0..<10_000).map { #""key\#($0)":\#($0)"# }.joined(separator: ",")
        let start = ContinuousClock.now
        let object = try #require(try json("{\(members)}").object)
        #expect(object.count == 10_000)
        #expect(object["key9999"] == 9999)
        #expect(object["key10000"] == nil)
        #expect(throws: JSONReadError.self) { try json("{\(members),\"key0\":0}") }
        #expect(throws: JSONReadError.self) { try json("{\(members),\"\\u006bey9999\":0}") }
        // Comparing each key with each takes minutes.
        #expect(ContinuousClock.now - start < .seconds(10))
    }

    /// Spellings that are canonically equivalent hash alike as strings.
    @Test func doNotCollideByEquivalence() throws {
        let marks = ["\u{301}", "\u{316}"]
        let members = (0..<4096).map { number in
            let key = (0..<12).map { "a" + (number >> $0 & 1 == 0 ? marks[0] + marks[1] : marks[1] + marks[0]) }
            return "\"\(key.joined())\":0"
        }
        let start = ContinuousClock.now
        #expect(try json("{\(members.joined(separator: ","))}").object?.count == 4096)
        #expect(ContinuousClock.now - start < .seconds(10))
    }

    @Test func areNamedWithoutControlCharactersAndShort() throws {
        let key = #"\u001b[2J\u009b"# + String(repeating: "x", count: 1000)
        let error = try #require(throws: JSONReadError.self) { try json("{\"\(key)\":0,\"\(key)\":0}") }
        #expect(error.description.hasPrefix(#"duplicate key "\u001b[2J\u009bxxx"#))
        #expect(error.description.utf8.count < 120)
    }
}

@Suite struct DepthTests {
    @Test(arguments: [2, 32, 100])
    func isTakenUpToTheLimit(_ limit: Int) throws {
        for (open, close) in [("[", "]"), ("{\"a\":[", "]}")] {
            let levels = limit / close.count
            let nested = String(repeating: open, count: levels) + String(repeating: close, count: levels)
            _ = try json(nested, maximumDepth: limit)
        }
        let over = String(repeating: "[", count: limit + 1) + String(repeating: "]", count: limit + 1)
        #expect(throws: JSONReadError.tooDeep(limit: limit, offset: limit)) { try json(over, maximumDepth: limit) }
    }

    @Test func countsLevelsAndNotContainers() throws {
        let row = "[" + String(repeating: "[],", count: 100) + "{}]"
        _ = try json(row, maximumDepth: 2)
        #expect(throws: JSONReadError.tooDeep(limit: 1, offset: 1)) { try json(row, maximumDepth: 1) }
        #expect(throws: JSONReadError.tooDeep(limit: 0, offset: 0)) { try json("[]", maximumDepth: 0) }
        #expect(try json("1", maximumDepth: 0) == 1)
    }

    @Test(arguments: ["[", "{\"a\":", "[{\"a\":"])
    func survivesAHundredThousandBrackets(_ opening: String) throws {
        let error = try #require(throws: JSONReadError.self) { try json(String(repeating: opening, count: 100_000)) }
        guard case .tooDeep(limit: 32, _) = error else { return #expect(Bool(false), "\(error)") }
    }
}
