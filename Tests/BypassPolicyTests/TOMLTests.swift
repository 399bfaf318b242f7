import Testing

@testable import BypassPolicy

@Suite struct TOMLTests {
    typealias Value = TOMLDocument.Value.Content

    private func value(_ text: String) -> Value? {
        let (document, diagnostics) = TOMLReader.read(Array("a = \(text)\n".utf8))
        guard diagnostics.isEmpty, document.tables.count == 1, document.tables[0].entries.count == 1 else { return nil }
        return document.tables[0].entries[0].value?.content
    }

    private func fault(_ text: String) -> String? {
        let diagnostics = TOMLReader.read(Array(text.utf8)).diagnostics
        return diagnostics.count == 1 ? diagnostics[0].message : nil
    }

    @Test(arguments: [
        ("0", 0), ("-0", 0), ("+7", 7), ("-17", -17), ("1_000", 1000), ("0xDEAD_beef", 0xDEAD_BEEF), ("0o755", 0o755),
        ("0b1101", 13), ("9223372036854775807", .max), ("-9223372036854775808", .min),
    ])
    func `Integers`(text: String, number: Int) {
        #expect(value(text) == .integer(number))
    }

    @Test(arguments: [
        (#""""#, ""), (#""a\tb\n\"\\\u00e9\U0001F600""#, "a\tb\n\"\\\u{E9}\u{1F600}"), (#"'C:\x "q"'"#, #"C:\x "q""#),
        ("''", ""), ("\"#\" # comment", "#"), ("\"a\tb\"", "a\tb"), ("\"é漢\"", "é漢"),
    ])
    func `Texts`(text: String, string: String) {
        #expect(value(text) == .string(string))
    }

    @Test func `Booleans and arrays`() {
        #expect(value("true") == .boolean(true))
        #expect(value("false# no") == .boolean(false))
        #expect(value("[]") == .array([]))
        #expect(value("[ 1 , 2,]")?.elements == [.integer(1), .integer(2)])
        #expect(value("[ # one\n\n  1\r\n # two\n , 'x' ,\n ] # end")?.elements == [.integer(1), .string("x")])
    }

    @Test func `Keys may be bare or quoted, and mean the same`() {
        let text = "a-B_1=1\n\"a b\" = 2\n'c'\t=\t3\n1=4\n[ 't' ]\na-B_1=5\r\n[[\"u\"]]#x\n[[u]]\n"
        let (document, complaints) = TOMLReader.read(Array(text.utf8))
        #expect(complaints == [])
        #expect(document.tables.map(\.name) == [nil, "t", "u", "u"])
        #expect(document.tables.map(\.isElement) == [false, false, true, true])
        #expect(document.tables.map(\.line) == [1, 5, 7, 8])
        #expect(document.tables[0].entries.map(\.key) == ["a-B_1", "a b", "c", "1"])
        #expect(document.tables[0].entries.map(\.line) == [1, 2, 3, 4])
    }

    @Test(arguments: [
        ("a = 1.5", "decimals"), ("a = 1e3", "decimals"), ("a = inf", "decimals"), ("a = -nan", "decimals"),
        ("a = 5E-2", "decimals"),
        ("a = 1979-05-27", "dates"), ("a = 07:32:00", "dates"), ("a = 1979-05-27T07:32:00Z", "dates"),
        ("a = 1979-05-27 07:32:00", "dates"), ("a = {}", "inline tables"), ("a = [[1]]", "nested"),
        ("a.b = 1", "dotted"), ("a . b = 1", "dotted"), ("[a.b]", "nested"), ("[[a.b]]", "nested"),
        ("a = \"\"\"x\"\"\"", "multi-line"), ("a = '''x'''", "multi-line"),
    ])
    func `What TOML has beyond that is refused by name`(text: String, word: String) {
        #expect(fault(text)?.contains(word) == true, "\(fault(text) ?? "")")
    }

    @Test(arguments: [
        "a", "a =", "a = # x", "= 1", "a 1", "a = 1 2", "a = 01", "a = 1__0", "a = _1", "a = 1_", "a = 0x", "a = +0x1",
        "a = 0xG", "a = 0X1", "a = 0b2", "a = 9223372036854775808", "a = -", "a = +", "a = True", "a = bare",
        "a = \"x", "a = 'x", "a = \"\\x\"", "a = \"\\u12\"", "a = \"\\uD800\"", "a = \"\\U00110000\"", "a = \"a\u{1}\"",
        "a = '\u{7F}'", "a = \"\r\"", "# \u{1}", "a = 1\rb", "\r", "a = [", "a = [1", "a = [1 2]", "a = [,]",
        "a = [1,,]", "a = [1]]", "[a", "[[a]", "[[a] ]", "[ [a]]", "[]", "[a]b", "[a] [b]", "a = 1\na = 2",
        "a = 1\n'a' = 2", "[a]\n[a]", "[[a]]\n[a]", "[a]\n[[a]]", "a = 1\n[a]", "a = 1 \u{B} ", "\u{A0}", "é = 1",
    ])
    func `A text that is not TOML is refused`(text: String) {
        #expect(fault(text) != nil, "\(TOMLReader.read(Array(text.utf8)))")
    }

    @Test func `A fault hides neither the next one nor what stands after it`() {
        let text = "a = [1\nb = 2\nc = bare\n# x\n[t\nd = 1\n[u]\ne = 3\n"
        let (document, complaints) = TOMLReader.read(Array(text.utf8))
        #expect(complaints.map(\.line) == [2, 3, 5])
        #expect(document.tables[0].entries.map(\.key) == ["a", "b", "c"])
        #expect(document.tables.last?.name == "u")
        #expect(document.tables.last?.entries.map(\.key) == ["e"])
        #expect(document.tables.filter(\.isReadable).count == 2)
    }
}

extension TOMLDocument.Value.Content {
    fileprivate var elements: [Self]? {
        if case .array(let values) = self { values.map(\.content) } else { nil }
    }
}
