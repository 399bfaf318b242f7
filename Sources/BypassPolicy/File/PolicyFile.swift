internal import Bypass

/// The policy file: text in, policy or diagnostics out.
package enum PolicyFile {
    /// Where the daemon looks for it.
    package static let path = "/etc/kmesh/bypassd.toml"
    /// Bytes.
    package static let maxBytes = 1 << 20

    /// Reads a whole file. No bytes make it fail in another way than with diagnostics.
    package static func read(
        _ bytes: [UInt8], resolving accounts: AccountLookup
    ) throws(PolicyFileError) -> Policy {
        if let fault = fault(of: bytes) { throw PolicyFileError([fault]) }
        var (document, diagnostics) = TOMLReader.read(bytes)
        var grants: [Grant] = []
        // Without their lines: grants that say the same are the same.
        var lines: [Grant: Int] = [:]
        for table in document.tables where table.isReadable && diagnostics.count <= PolicyFileError.maxDiagnostics {
            guard let name = table.name else {
                diagnostics += table.entries.map {
                    Diagnostic($0.line, "\($0.key.excerpt) stands outside of a grant: begin one with [[grant]]")
                }
                continue
            }
            guard name == grantName else {
                diagnostics.append(
                    Diagnostic(table.line, "a table \(name.excerpt) has no meaning here: a grant begins with [[grant]]")
                )
                continue
            }
            if !table.isElement {
                diagnostics.append(Diagnostic(table.line, "write [[grant]], as there may be several"))
            }
            var reader = GrantReader(table, accounts)
            if var grant = reader.read() {
                grants.append(grant)
                grant.line = nil
                if let line = lines.updateValue(table.line, forKey: grant) {
                    diagnostics.append(Diagnostic(table.line, "this grant says the same as that of line \(line)"))
                }
            }
            diagnostics += reader.diagnostics
        }
        guard diagnostics.isEmpty else { throw PolicyFileError(diagnostics) }
        return Policy(grants: grants)
    }

    private static let grantName = "grant"

    /// What keeps bytes from being text.
    private static func fault(of bytes: [UInt8]) -> Diagnostic? {
        if bytes.count > maxBytes { return Diagnostic(1, "the file is larger than \(maxBytes) bytes") }
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
            return Diagnostic(1, "the file begins with a byte order mark: save it as UTF-8 without one")
        }
        if String(validating: bytes, as: UTF8.self) != nil { return nil }
        // A line feed is never a part of another character.
        let lines = bytes.split(separator: .lineFeed, omittingEmptySubsequences: false)
        let index = lines.firstIndex { String(validating: $0, as: UTF8.self) == nil }
        return Diagnostic((index ?? 0) + 1, "this is not UTF-8")
    }
}

/// Finds the numbers of the users and groups that a policy file names.
package struct AccountLookup: Sendable {
    /// nil if there is none of that name; throws if that cannot be found out now.
    var uid: @Sendable (_ name: String) throws -> UInt32?
    var gid: @Sendable (_ name: String) throws -> UInt32?

    package init(
        uid: @escaping @Sendable (_ name: String) throws -> UInt32?,
        gid: @escaping @Sendable (_ name: String) throws -> UInt32?
    ) {
        self.uid = uid
        self.gid = gid
    }
}
