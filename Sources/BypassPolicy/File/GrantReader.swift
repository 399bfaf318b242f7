internal import Bypass
internal import BypassAPI
internal import Linux

/// Makes a grant of a table, and a diagnostic of everything that is wrong with it.
struct GrantReader {
    enum Key: String, CaseIterable {
        case users, groups, role, namespaces, directions
        case onlyPorts = "only-ports"
        case onlyNetworks = "only-networks"
        case exceptPorts = "except-ports"
        case exceptNetworks = "except-networks"
        case maxTTL = "max-ttl"
        case requireTTL = "require-ttl"
        case defaultTTL = "default-ttl"
        case host, priority
    }

    let table: TOMLDocument.Table
    let accounts: AccountLookup
    var diagnostics: [Diagnostic] = []
    /// Warnings: entries that are valid, but have no effect yet.
    var warnings: [Diagnostic] = []
    private var entries: [Key: TOMLDocument.Entry] = [:]

    init(_ table: TOMLDocument.Table, _ accounts: AccountLookup) {
        self.table = table
        self.accounts = accounts
    }

    /// nil if anything is wrong with it.
    mutating func read() -> Grant? {
        sortEntries()
        let subjects = readSubjects()
        let role = readRole()
        let namespaces = readNamespaces()
        let hooks = readHooks()
        let scope = readScope()
        let maxTTL = readTTL(.maxTTL)
        let defaultTTL = readDefaultTTL(atMost: maxTTL)
        let requiresTTL = readRequiresTTL()
        let allowsHost = readBoolean(.host) ?? false
        let hasPriority = readBoolean(.priority) ?? false
        if let role { checkLimits(of: role, subjects) }
        guard diagnostics.isEmpty, let role else { return nil }
        return Grant(
            line: table.line, subjects: subjects, role: role, namespaces: namespaces, hooks: hooks, scope: scope,
            maxTTL: maxTTL, requiresTTL: requiresTTL, defaultTTL: defaultTTL, allowsHost: allowsHost,
            hasPriority: hasPriority)
    }

    /// nil if the key is not there, or if its value could not be read.
    func value(_ key: Key) -> TOMLDocument.Value? { entries[key]?.value }

    /// nil if the key is not there.
    func entryLine(_ key: Key) -> Int? { entries[key]?.line }

    private mutating func sortEntries() {
        for entry in table.entries {
            guard let key = Key(rawValue: entry.key) else {
                diagnose(entry.line, "a grant has no \(entry.key.excerpt)\(suggestion(for: entry.key, of: Key.self))")
                continue
            }
            if entries[key] == nil { entries[key] = entry }
        }
    }

    // MARK: - What the keys hold

    private mutating func readRole() -> Permission? {
        guard entries[.role] != nil else {
            diagnose(table.line, "this grant has no role: it is one of \(list(Permission.self))")
            return nil
        }
        guard let value = value(.role) else { return nil }
        guard case .string(let text) = value.content else { return mistyped(.role, value, "takes a string") }
        if let role = Permission(rawValue: text) { return role }
        diagnose(value.line, "role: there is no \(text.excerpt)\(suggestion(for: text, of: Permission.self))")
        return nil
    }

    private mutating func readNamespaces() -> [Glob]? {
        guard let texts = texts(.namespaces, example: "web-*") else { return nil }
        var globs: [Glob] = []
        for (text, line) in texts {
            do throws(Glob.Malformed) {
                globs.append(try Glob(text))
                if let reason = Self.reasonForNoMatch(text) { diagnose(line, "namespaces: \(reason)") }
            } catch {
                diagnose(line, "namespaces: \(text.excerpt) is not a valid pattern: \(error)")
            }
        }
        return globs
    }

    /// The reason that a pattern matches no namespace, however it is spelled.
    private static func reasonForNoMatch(_ pattern: String) -> String? {
        if pattern == Change.host { return "\(pattern.excerpt) is for role admin with host = true only" }
        for folder in ["/run/netns/", "/var/run/netns/"] where pattern.hasPrefix(folder) {
            let name = pattern.dropFirst(folder.count)
            // The folder sets a file apart from the other forms, such as that of a pod.
            if case .name? = NamespaceReference(String(name)) {
                return "write \(String(name).excerpt): names under /run/netns go without the folder"
            }
        }
        guard pattern.hasPrefix("/") else { return nil }
        let parts = pattern.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        if parts.count == 4, parts[0] == "proc", parts[2...] == ["ns", "net"], !parts[1].hasSuffix("self") {
            return "write \("pid:\(parts[1])".excerpt): /proc/PID/ns/net counts as pid:PID"
        }
        guard parts.contains(where: { $0 == "" || $0 == "." || $0 == ".." }) else { return nil }
        return "\(pattern.excerpt) matches nothing: write the path without '//', '.' and '..'"
    }

    private mutating func readHooks() -> HookSet? {
        guard let texts = texts(.directions, example: "inbound") else { return nil }
        var hooks: HookSet = []
        for (text, line) in texts {
            guard let direction = Direction(rawValue: text) else {
                diagnose(line, "directions: there is no \(text.excerpt)\(suggestion(for: text, of: Direction.self))")
                continue
            }
            if !hooks.isDisjoint(with: direction.hooks) {
                diagnose(line, "directions: \(text) overlaps with an earlier one")
            }
            hooks.formUnion(direction.hooks)
        }
        // All directions are no limit.
        return hooks == Direction.both.hooks ? nil : hooks
    }

    private mutating func readTTL(_ key: Key) -> Int? {
        guard let value = value(key) else { return nil }
        switch value.content {
        case .integer(let seconds) where (1...TimeToLive.maxSeconds).contains(seconds): return seconds
        case .integer:
            diagnose(value.line, "\(key.rawValue): must be from 1 to \(TimeToLive.maxSeconds) seconds (100 years)")
            return nil
        case .string(let text):
            do throws(TimeToLive.Malformed) {
                return try TimeToLive(text).seconds
            } catch {
                diagnose(value.line, "\(key.rawValue): \(text.excerpt): \(error)")
                return nil
            }
        case .boolean, .array: return mistyped(key, value, "takes seconds, or a string such as \"15m\"")
        }
    }

    private mutating func readDefaultTTL(atMost longest: Int?) -> Int? {
        guard let seconds = readTTL(.defaultTTL), let line = entryLine(.defaultTTL) else { return nil }
        if let longest, seconds > longest { diagnose(line, "default-ttl: is longer than max-ttl allows") }
        return seconds
    }

    private mutating func readRequiresTTL() -> Bool {
        guard let requiresTTL = readBoolean(.requireTTL), let line = entryLine(.requireTTL) else { return false }
        if !requiresTTL {
            diagnose(
                line,
                entries[.maxTTL] == nil
                    ? "require-ttl: false is the default: leave it out"
                    : "require-ttl: max-ttl requires one, since a bypass without end is longer than any")
        }
        return requiresTTL
    }

    // MARK: - What does not go together

    private mutating func checkLimits(of role: Permission, _ subjects: [Grant.Subject]) {
        if role != .bypass {
            let limits: [Key] = [
                .namespaces, .directions, .onlyPorts, .onlyNetworks, .exceptPorts, .exceptNetworks, .maxTTL,
                .requireTTL, .defaultTTL,
            ]
            for key in limits {
                guard let line = entryLine(key) else { continue }
                diagnose(line, "\(key.rawValue): goes with role bypass only; role \(role.rawValue) has no limits")
            }
        }
        if role == .admin { return }
        if let line = entryLine(.host) { diagnose(line, "host: goes with role admin only") }
        if let line = entryLine(.users), subjects.contains(where: \.isRoot) {
            diagnose(line, "users: root is always admin, so a grant of less has no effect")
        }
    }
}

extension Grant.Subject {
    fileprivate var isRoot: Bool {
        if case .user(0?, _) = self { true } else { false }
    }
}
