import Bypass
import PolicyFile
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
func complaints(_ text: String) -> [String] {
    complaints(Array(text.utf8))
}

func complaints(_ bytes: [UInt8]) -> [String] {
    do throws(PolicyFileError) {
        _ = try PolicyFile.read(bytes, resolving: accounts)
        return []
    } catch {
        return error.lines(about: "f")
    }
}

/// A grant with everything in order, for tests of one more line.
let bob = "[[grant]]\nusers = [\"bob\"]\nrole = \"bypass\"\n"
