import BypassAPI
import Linux
import Testing

@testable import BypassPolicy

/// The users and groups that a policy file names, on a machine that may not know them yet.
@Suite struct AccountLookupTests {
    private static let unknown: [(String, [String])] = [
        (
            "[[grant]]\nrole = \"read\"\nusers = [\"alcie\",\n \"bob\",\n \"eve\"]",
            [
                "3: users: no user is named \"alcie\"; use a number for one that this machine does not know. "
                    + "The grant does not apply to this user until it is known",
                "5: users: no user is named \"eve\"; use a number for one that this machine does not know. "
                    + "The grant does not apply to this user until it is known",
            ]
        ),
        (
            "[[grant]]\nrole = \"read\"\nusers = [\"1001\"]",
            [
                "3: users: no user is named \"1001\"; write a number without quotes. "
                    + "The grant does not apply to this user until it is known"
            ]
        ),
        (
            "[[grant]]\nrole = \"read\"\ngroups = [\"x\"]",
            [
                "3: groups: no group is named \"x\"; use a number for one that this machine does not know. "
                    + "The grant does not apply to this group until it is known"
            ]
        ),
        (
            "[[grant]]\nrole = \"read\"\nusers = [\"slow\"]",
            [
                "3: users: the user \"slow\" cannot be looked up now: no answer. "
                    + "The grant does not apply to this user until it is known"
            ]
        ),
    ]

    /// The servers of accounts may come up after the daemon.
    @Test(arguments: unknown)
    func `An unknown name is a warning, and grants nothing`(text: String, said: [String]) throws {
        #expect(try warnings(text) == said)
        let policy = try read(text)
        for id in [0, 1, 1001, 65534, UInt32.max - 1, .max] {
            let caller = Caller(uid: id, gid: id, groups: [id])
            #expect(policy.grants.allSatisfy { $0.subject(including: caller) == nil })
        }
    }

    @Test func `A name that becomes known has its grant, and only that changes`() throws {
        let policy = try read(bob + "[[grant]]\nusers = [\"eve\", \"slow\"]\ngroups = [\"night\"]\nrole = \"read\"\n")
        #expect(
            policy.unknownSubjects.map(\.description)
                == ["user eve", "user slow", "group night"].map { $0 + " (unknown)" })
        let known = policy.setting(.user("eve"), to: 2001).setting(.group("night"), to: 77)
        #expect(known.unknownSubjects.map(\.description) == ["user slow (unknown)"])
        let (eve, night) = (Caller(uid: 2001, gid: 1), Caller(uid: 5, gid: 1, groups: [77]))
        for caller in [eve, night] {
            #expect(policy.roleRefusal(of: caller, asking: .read, to: "") != nil)
            #expect(known.roleRefusal(of: caller, asking: .read, to: "") == nil)
        }
        #expect(known.grants[0] == policy.grants[0])
        #expect(known.setting(.user("eve"), to: nil).setting(.group("night"), to: nil) == policy)
    }

    @Test func `One account by name and by number is not an error`() throws {
        let policy = try read("[[grant]]\nusers = [\"bob\", 1002, \"alice\", 1001]\nrole = \"read\"\n")
        #expect(policy.grants[0].subjects == [.user(1002, written: "bob"), .user(1001, written: "alice")])
        #expect(policy.warnings.isEmpty)
    }

    /// On a machine that knows no more than root.
    @Test func `The example in the documents is accepted as it stands`() throws {
        let folder = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let page = try Files.text("/" + folder + "/proto-docs/policy.md")
        let example = try #require(page.split(separator: "```toml\n").dropFirst().first?.split(separator: "```").first)
        let stock = AccountLookup(uid: { $0 == "root" ? 0 : nil }, gid: { _ in nil })
        let policy = try PolicyFile.read(Array(example.utf8), resolving: stock)
        #expect(policy.grants.count == 6 && policy.grants.last?.allowsHost == true)
        #expect(
            policy.unknownSubjects.map(\.description)
                == ["group kmesh", "user alice", "group dba", "group monitoring"].map { $0 + " (unknown)" })
    }
}
