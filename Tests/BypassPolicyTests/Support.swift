import Bypass
import BypassPolicy
import Testing

/// A machine on which these are known.
let accounts = AccountLookup(
    uid: { name in
        if name == "slow" { throw NoAnswer() }
        return ["root": 0, "alice": 1001, "bob": 1002][name]
    },
    gid: { ["kmesh": 900, "wheel": 10][$0] })

struct NoAnswer: Error, CustomStringConvertible {
    let description = "no answer"
}

func read(_ text: String) throws(PolicyFileError) -> Policy {
    try PolicyFile.read(Array(text.utf8), resolving: accounts)
}

/// What is said about a file, a line each.
func diagnostics(_ text: String) -> [String] {
    diagnostics(Array(text.utf8))
}

func diagnostics(_ bytes: [UInt8]) -> [String] {
    do throws(PolicyFileError) {
        _ = try PolicyFile.read(bytes, resolving: accounts)
        return []
    } catch {
        return error.lines(about: "f")
    }
}

/// What is said about a file that is accepted, a line each.
func warnings(_ text: String) throws -> [String] {
    try read(text).warnings.map { "\($0.line): \($0.message)" }
}

/// A grant with everything in order, for tests of one more line.
let bob = "[[grant]]\nusers = [\"bob\"]\nrole = \"bypass\"\n"

let both = HookSet(Hook.allCases)

extension Policy {
    /// Why a change is not allowed; nil if it is.
    func denial(of change: Change, by caller: Caller) -> BypassError? {
        do throws(BypassError) {
            _ = try authorize(change, by: caller)
            return nil
        } catch {
            return error
        }
    }

    /// nil if a change is not allowed.
    func permit(_ change: Change, by caller: Caller) -> Permit? { try? authorize(change, by: caller) }
}
