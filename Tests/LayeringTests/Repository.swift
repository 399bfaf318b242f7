import Linux

/// The project's files, as they lie in the working copy.
enum Repository {
    static let root = String(#filePath.dropLast("/Tests/LayeringTests/Repository.swift".count))

    struct File: Sendable, CustomStringConvertible {
        /// From the root on.
        var path: String
        var text: String

        var description: String { path }
        /// The target, of a file under Sources.
        var target: String { path.split(separator: "/").dropFirst().first.map(String.init) ?? "" }
        var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }
    }

    static func files(in folder: String) throws -> [File] {
        try Files.entries(in: root + "/" + folder).sorted { $0.name < $1.name }.flatMap { entry -> [File] in
            let path = folder + "/" + entry.name
            if entry.name.hasPrefix(".") { return [] }
            return entry.isFolder ? try files(in: path) : [File(path: path, text: try Files.text(root + "/" + path))]
        }
    }

    static func swiftFiles(in folder: String) throws -> [File] {
        try files(in: folder).filter { $0.path.hasSuffix(".swift") }
    }
}

extension Repository.File {
    /// The code without comments and without what strings say; enough Swift for this project's style.
    var code: [Substring] {
        var isInString = false
        return lines.compactMap { line in
            let trimmed = line.drop { $0 == " " }
            let quotes = trimmed.split(separator: "\"\"\"", omittingEmptySubsequences: false).count - 1
            let wasInString = isInString
            if quotes % 2 == 1 { isInString.toggle() }
            if wasInString || trimmed.hasPrefix("//") { return nil }
            let pieces = trimmed.split(separator: "\"", omittingEmptySubsequences: false)
            guard pieces.count > 1 else { return Self.withoutComment(trimmed) }
            let code = pieces.enumerated().filter { $0.offset % 2 == 0 }.map(\.element).joined(separator: "\"\"")
            return Self.withoutComment(Substring(code))
        }
    }

    private static func withoutComment(_ line: Substring) -> Substring {
        line.split(separator: " //", maxSplits: 1, omittingEmptySubsequences: false).first ?? line
    }

    /// The words of the code: what is not letters, digits or underscores stands between them.
    var words: Set<Substring> {
        Set(code.flatMap { $0.split { !($0.isLetter || $0.isNumber || $0 == "_") } })
    }

    /// The modules that the file imports.
    var imports: Set<String> {
        let kinds: Set<Substring> = ["typealias", "struct", "class", "enum", "protocol", "let", "var", "func"]
        return Set(
            code.compactMap { line in
                var words = line.split(separator: " ")[...]
                while let word = words.first, word.hasPrefix("@") || Self.access.contains(word) { words.removeFirst() }
                guard words.popFirst() == "import", var module = words.popFirst() else { return nil }
                if kinds.contains(module) { module = words.popFirst() ?? module }
                return String(module.prefix { $0 != "." && $0 != ";" })
            })
    }

    private static let access: Set<Substring> = ["public", "package", "internal", "fileprivate", "private"]
}
