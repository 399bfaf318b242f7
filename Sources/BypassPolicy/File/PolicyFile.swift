internal import Bypass
internal import Linux

/// The policy file: text in, policy or diagnostics out.
package enum PolicyFile {
    /// The path from which the daemon reads it.
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
        var warnings: [Diagnostic] = []
        // Without their lines: grants that say the same are the same.
        var lines: [Grant: Int] = [:]
        for table in document.tables where table.isReadable && diagnostics.count <= PolicyFileError.maxDiagnostics {
            guard let name = table.name else {
                diagnostics += table.entries.map {
                    Diagnostic($0.line, "\($0.key.excerpt) is outside of a grant: begin one with [[grant]]")
                }
                continue
            }
            guard name == grantName else {
                diagnostics.append(
                    Diagnostic(table.line, "the table \(name.excerpt) is unknown: a grant begins with [[grant]]")
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
            warnings += reader.warnings.prefix(PolicyFileError.maxDiagnostics - warnings.count)
        }
        guard diagnostics.isEmpty else { throw PolicyFileError(diagnostics) }
        return Policy(grants: grants, isBuiltIn: false, warnings: warnings)
    }

    private static let grantName = "grant"

    /// The fault of bytes that are not text.
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

/// The reason that no policy could be loaded.
package struct PolicyLoadingError: Error, Hashable, Sendable {
    /// For people: all that is wrong, each with what to do about it.
    package let lines: [String]

    package init(lines: [String]) {
        self.lines = lines
    }
}

extension PolicyFile {
    package struct Loaded: Sendable {
        package var policy: Policy
        /// The parts of the policy that have no effect yet, one line each.
        package var warnings: [String]
        /// The reason not to trust the file, wherever it is; nil if there is none.
        package var untrustedReason: String?
    }

    /// Reads the file at `path`, with the users and groups that this machine knows. Where that is the usual path and there
    /// is no file, the built-in policy applies. Both the daemon and the command line call this.
    package static func load(
        _ path: String, resolving accounts: AccountLookup = .ofThisMachine
    ) throws(PolicyLoadingError) -> Loaded {
        do {
            guard let file = try TrustedFile.read(path, limit: maxBytes) else {
                guard path == Self.path else {
                    throw PolicyLoadingError(
                        lines: ["there is no \(path): only \(Self.path) may be missing, for the built-in policy"])
                }
                return builtIn(resolving: accounts)
            }
            let policy = try read(file.contents, resolving: accounts)
            return Loaded(
                policy: policy, warnings: policy.warnings.map { $0.line(about: path) },
                untrustedReason: file.untrustedReason)
        } catch let error as PolicyFileError {
            throw PolicyLoadingError(lines: error.lines(about: path))
        } catch let error as PolicyLoadingError {
            throw error
        } catch {
            throw PolicyLoadingError(lines: ["\(error)"])
        }
    }

    private static func builtIn(resolving accounts: AccountLookup) -> Loaded {
        do {
            return Loaded(policy: .builtIn(group: try accounts.id(of: .group(Policy.groupName))), warnings: [])
        } catch {
            return Loaded(
                policy: .builtIn(group: nil),
                warnings: [
                    "the group \(Policy.groupName) cannot be looked up now: \(error). Until then only root has rights"
                ])
        }
    }
}
