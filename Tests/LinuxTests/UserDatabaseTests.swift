import Linux
import Testing

@Suite struct UserDatabaseTests {
    @Test("root is known by name and by number, with its group")
    func root() throws {
        let root = try #require(try UserDatabase.user(named: "root"))
        #expect(root.uid == 0 && root.gid == 0 && root.name == "root")
        #expect(try UserDatabase.user(numbered: 0) == root)
        #expect(try UserDatabase.group(named: "root") == 0)
        #expect(try UserDatabase.groupName(numbered: 0) == "root")
        #expect(UserDatabase.groups(of: root).contains(0))
    }

    @Test(
        "What is not known is not an error",
        arguments: ["no-such-user-or-group", "", "root\u{0}", "root\u{0}x", "0", "-1"])
    func unknown(_ name: String) throws {
        #expect(try UserDatabase.user(named: name) == nil)
        #expect(try UserDatabase.group(named: name) == nil)
    }

    @Test("Very long names are not an error either")
    func long() throws {
        let name = String(repeating: "a", count: 1 << 20)
        #expect(try UserDatabase.user(named: name) == nil)
        #expect(try UserDatabase.group(named: name) == nil)
    }
}
