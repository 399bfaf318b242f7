internal import Bypass

extension GrantReader {
    /// To whom the grant is.
    mutating func readSubjects() -> [Grant.Subject] {
        if entryLine(.users) == nil && entryLine(.groups) == nil {
            diagnose(table.line, "this grant names neither users nor groups: add one of them")
        }
        let accounts = accounts
        let users = readAccounts(.users, "user") { try accounts.id(of: .user($0)) }.map {
            Grant.Subject.user($0.id, written: $0.written)
        }
        let groups = readAccounts(.groups, "group") { try accounts.id(of: .group($0)) }.map {
            Grant.Subject.group($0.id, written: $0.written)
        }
        return users + groups
    }

    private mutating func readAccounts(
        _ key: Key, _ kind: String, _ find: (String) throws -> UInt32?
    ) -> [(id: UInt32?, written: String)] {
        guard let elements = elements(key, example: "kmesh") else { return [] }
        var found: [(id: UInt32?, written: String)] = []
        var seen: Set<TOMLDocument.Value.Content> = []
        var ids: Set<UInt32> = []
        for element in elements {
            guard let account = readAccount(element, key, kind, find) else { continue }
            if !seen.insert(element.content).inserted {
                diagnose(element.line, "\(key.rawValue): \(account.written.excerpt) is listed twice")
            }
            // Under two names, or a name and its number, it is one account.
            if account.id.map({ ids.insert($0).inserted }) ?? true { found.append(account) }
        }
        return found
    }

    /// An unknown name is a warning and not an error, since account servers may start after the daemon. The grant does
    /// not apply to that name until it is known.
    private mutating func readAccount(
        _ element: TOMLDocument.Value, _ key: Key, _ kind: String, _ find: (String) throws -> UInt32?
    ) -> (id: UInt32?, written: String)? {
        switch element.content {
        case .integer(let number):
            // The highest number means "no user" to the kernel's calls.
            if let id = UInt32(exactly: number), id != .max { return (id, "\(number)") }
            diagnose(element.line, "\(key.rawValue): \(number) is not the number of a \(kind) (0 to 4294967294)")
            return nil
        case .string(let name):
            let fault: String
            do {
                if let id = try find(name) { return (id, name) }
                let advice =
                    UInt32(name) == nil
                    ? "use a number for one that this machine does not know" : "write a number without quotes"
                fault = "no \(kind) is named \(name.excerpt); \(advice)"
            } catch {
                fault = "the \(kind) \(name.excerpt) cannot be looked up now: \(error)".printable
            }
            warn(element.line, "\(key.rawValue): \(fault). The grant does not apply to this \(kind) until it is known")
            return (nil, name)
        case .boolean, .array:
            diagnose(element.line, "\(key.rawValue): takes names and numbers, not \(element.content.kind)")
            return nil
        }
    }
}
