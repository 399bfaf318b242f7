public import Bypass

/// The policy file: text in, policy or complaints out.
public enum PolicyFile {
    /// Where the daemon looks for it.
    public static let path = "/etc/kmesh/bypassd.toml"
    /// Bytes.
    public static let largest = 1 << 20

    /// Reads a whole file. No bytes make it fail in another way than with complaints.
    public static func read(
        _ bytes: [UInt8], resolving accounts: AccountLookup
    ) throws(PolicyFileError) -> Policy {
        if let fault = fault(of: bytes) { throw PolicyFileError([fault]) }
        var (document, complaints) = TOMLReader.read(bytes)
        var grants: [Grant] = []
        // Without their lines: grants that say the same are the same.
        var lines: [Grant: Int] = [:]
        for table in document.tables where table.isReadable && complaints.count <= PolicyFileError.mostComplaints {
            guard let name = table.name else {
                complaints += table.entries.map {
                    Complaint($0.line, "\($0.key.excerpt) stands outside of a grant: begin one with [[grant]]")
                }
                continue
            }
            guard name == grantName else {
                complaints.append(
                    Complaint(table.line, "a table \(name.excerpt) has no meaning here: a grant begins with [[grant]]"))
                continue
            }
            if !table.isElement {
                complaints.append(Complaint(table.line, "write [[grant]], as there may be several"))
            }
            var reader = GrantReader(table, accounts)
            if var grant = reader.read() {
                grants.append(grant)
                grant.line = nil
                if let line = lines.updateValue(table.line, forKey: grant) {
                    complaints.append(Complaint(table.line, "this grant says the same as that of line \(line)"))
                }
            }
            complaints += reader.complaints
        }
        guard complaints.isEmpty else { throw PolicyFileError(complaints) }
        return Policy(grants: grants)
    }

    private static let grantName = "grant"

    /// What keeps bytes from being text.
    private static func fault(of bytes: [UInt8]) -> Complaint? {
        if bytes.count > largest { return Complaint(1, "the file is larger than \(largest) bytes") }
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
            return Complaint(1, "the file begins with a byte order mark: save it as UTF-8 without one")
        }
        if String(validating: bytes, as: UTF8.self) != nil { return nil }
        // A line feed is never a part of another character.
        let lines = bytes.split(separator: .lineFeed, omittingEmptySubsequences: false)
        let index = lines.firstIndex { String(validating: $0, as: UTF8.self) == nil }
        return Complaint((index ?? 0) + 1, "this is not UTF-8")
    }
}
