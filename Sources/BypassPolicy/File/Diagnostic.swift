/// A fault in a policy file, with its line.
package struct Diagnostic: Hashable, Sendable, Error {
    /// From 1 on.
    package var line: Int
    /// The fault and its remedy.
    package var message: String

    init(_ line: Int, _ message: String) {
        self.line = line
        self.message = message
    }

    /// Such as `/etc/kmesh/bypassd.toml:7: namespaces: is empty`.
    func line(about path: String) -> String { "\(path):\(line): \(message)" }
}

/// Every diagnostic of a refused policy file, so that they can be fixed in one go.
package struct PolicyFileError: Error, Hashable, Sendable {
    /// By line; at least one.
    package let diagnostics: [Diagnostic]
    /// Whether the reader gave up before the end of the file.
    package let isCutShort: Bool

    /// More are not read by a person, and no file can make the daemon keep more.
    static let maxDiagnostics = 100

    init(_ diagnostics: [Diagnostic]) {
        self.diagnostics = Array(diagnostics.sorted { $0.line < $1.line }.prefix(Self.maxDiagnostics))
        isCutShort = diagnostics.count > Self.maxDiagnostics
    }

    /// A line for each diagnostic.
    package func lines(about path: String) -> [String] {
        let lines = diagnostics.map { $0.line(about: path) }
        return isCutShort ? lines + ["\(path): there are more errors than are shown: fix these first"] : lines
    }
}
