import BypassAPI
import Linux
import Testing

/// The pages for people say all that the contract has.
@Suite struct DocumentationTests {
    private func page(_ name: String) throws -> String {
        try Files.text(repository + "/proto-docs/" + name)
    }

    private func missing(_ words: [String], in name: String) throws -> [String] {
        let text = try page(name)
        return words.filter { !text.contains($0) }
    }

    @Test("methods.md describes every method and parameter, and every member of a result")
    func methods() throws {
        var words: [String] = []
        for method in OpenRPCDocument.methods {
            words.append(method.name)
            words += method.parameters.map { "`\($0.name)`" }
        }
        for call in Sample.calls where call.method != DiscoverMethod.self {
            for result in call.results { words += (keys(try json(result)) ?? []).map { "`\($0)`" } }
        }
        words += BypassStatus.Warning.Code.allCases.map { "| `\($0.rawValue)` |" }
        #expect(try missing(words, in: "methods.md") == [])
    }

    @Test("errors.md describes every code and kind, the standard ones too")
    func errors() throws {
        let standard = ["-32700", "-32600", "-32601", "-32602", "-32603"]
        let ours = ErrorCode.allCases.flatMap { [String($0.rawValue), "`\($0.kind)`"] }
        #expect(try missing(standard + ours, in: "errors.md") == [])
    }

    @Test("transport.md describes every limit, and where the daemon listens")
    func transport() throws {
        let words = Limits.Name.allCases.map { "`\($0.rawValue)`" } + [Product.socketPath, Product.socketVariable]
        #expect(try missing(words, in: "transport.md") == [])
    }
}
