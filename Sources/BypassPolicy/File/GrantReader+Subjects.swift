internal import Bypass

extension GrantReader {
    /// To whom the grant is.
    mutating func readSubjects() -> [Grant.Subject] {
        if entryLine(.users) == nil && entryLine(.groups) == nil {
            diagnose(table.line, "this grant names neither users nor groups: add one of them")
        }
        let users = readAccounts(.users, "user", accounts.uid).map { Grant.Subject.user($0.id, written: $0.written) }
        let groups = readAccounts(.groups, "group", accounts.gid).map {
            Grant.Subject.group($0.id, written: $0.written)
        }
        return users + groups
    }

    private mutating func readAccounts(
        _ key: Key, _ kind: String, _ find: (String) throws -> UInt32?
    ) -> [(id: UInt32, written: String)] {
        guard let elements = elements(key, example: "kmesh") else { return [] }
        var found: [(id: UInt32, written: String)] = []
        var names: [UInt32: String] = [:]
        for element in elements {
            guard let account = readAccount(element, key, kind, find) else { continue }
            if let other = names.updateValue(account.written, forKey: account.id) {
                let shown = account.written.excerpt
                diagnose(
                    element.line,
                    "\(key.rawValue): "
                        + (other == account.written
                            ? "\(shown) is there twice" : "\(shown) and \(other.excerpt) are the same \(kind)"))
            }
            found.append(account)
        }
        return found
    }

    private mutating func readAccount(
        _ element: TOMLDocument.Value, _ key: Key, _ kind: String, _ find: (String) throws -> UInt32?
    ) -> (id: UInt32, written: String)? {
        switch element.content {
        case .integer(let number):
            // The highest number means "nobody" to the kernel's calls.
            if let id = UInt32(exactly: number), id != .max { return (id, "\(number)") }
            diagnose(element.line, "\(key.rawValue): \(number) is not the number of a \(kind) (0 to 4294967294)")
        case .string(let name):
            do {
                if let id = try find(name) { return (id, name) }
                let advice =
                    UInt32(name) == nil
                    ? "use a number for one that is not known here" : "a number stands without quotes"
                diagnose(element.line, "\(key.rawValue): no \(kind) is named \(name.excerpt); \(advice)")
            } catch {
                diagnose(
                    element.line,
                    "\(key.rawValue): the \(kind) \(name.excerpt) cannot be looked up now: \(error)".printable)
            }
        case .boolean, .array:
            diagnose(element.line, "\(key.rawValue): takes names and numbers, not \(element.content.kind)")
        }
        return nil
    }
}
