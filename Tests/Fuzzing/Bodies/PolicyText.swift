internal import Bypass
internal import BypassPolicy

/// What an administrator writes, and what is decided by it.
public enum PolicyText {
    private struct NotNow: Error {}

    private static let accounts = AccountLookup(
        uid: { name throws in
            if name == "later" { throw NotNow() }
            return name == "alice" ? 1000 : nil
        },
        gid: { name in name == "kmesh" ? 50 : nil })

    private static let callers = [
        Caller(uid: 0, gid: 0), Caller(uid: 1000, gid: 1000), Caller(uid: 7, gid: 7, groups: [50]),
        Caller(uid: 4711, gid: 4711),
    ]
    private static let operations: [Change.Operation] = [
        .off, .on(hooks: [.output], ttl: 60), .on(hooks: HookSet(Hook.allCases), ttl: nil),
    ]

    public static func check(_ input: [UInt8]) throws(BrokenPromise) {
        let policy: Policy
        do {
            policy = try PolicyFile.read(input, resolving: accounts)
        } catch {
            try promise(!error.diagnostics.isEmpty, "refused without a word")
            return try check(error.diagnostics, input)
        }
        try check(policy.warnings, input)
        for caller in callers {
            for operation in operations {
                for isHost in [false, true] { try check(policy, caller, operation, isHost) }
            }
        }
    }

    /// A place in the file, and words that do nothing to a terminal.
    private static func check(_ diagnostics: [Diagnostic], _ input: [UInt8]) throws(BrokenPromise) {
        let lineCount = input.count { $0 == UInt8(ascii: "\n") } + 1
        for diagnostic in diagnostics {
            try promise((1...lineCount + 1).contains(diagnostic.line), "no such line: \(diagnostic)")
            let isQuiet = !diagnostic.message.unicodeScalars.contains(where: \.isControl)
            try promise(isQuiet, "a control character in \(diagnostic)")
        }
    }

    private static func check(
        _ policy: Policy, _ caller: Caller, _ operation: Change.Operation, _ isHost: Bool
    ) throws(BrokenPromise) {
        let change = Change(netns: "web", names: ["db-1", "\u{1b}"], operation: operation, isHost: isHost)
        let isAllowed = (try? policy.authorize(change, by: caller)) != nil
        let isExplained = policy.explain(change, for: caller).contains(where: \.allows)
        try promise(
            isAllowed == isExplained || caller.isRoot && !isHost && isAllowed,
            "\(caller) \(isAllowed ? "may" : "may not") \(change), and is shown otherwise: \(policy)")
        if policy.looksAtNames(for: caller) { return }
        let unnamed = Change(netns: "web", operation: operation, isHost: isHost)
        try promise(
            ((try? policy.authorize(unnamed, by: caller)) != nil) == isAllowed,
            "names that nobody looks at decide for \(caller): \(policy)")
    }
}
