import Glibc
import Linux
import Testing

@testable import BypassDaemon

@Suite struct SubordinateAccountsTests {
    private typealias Range = SubordinateAccounts.Range

    private func parse(_ text: String) -> [Range] {
        SubordinateAccounts.parse(Array(text.utf8)) { ["alice": 1000, "bob": 1001, "root": 0][$0] ?? UInt32($0) }
    }

    @Test("Each line gives the range of an account, by name or number")
    func lines() {
        #expect(
            parse("alice:100000:65536\n1001:165536:65536\nalice:300000:1\n") == [
                Range(account: 1000, uids: 100_000...165_535), Range(account: 1001, uids: 165_536...231_071),
                Range(account: 1000, uids: 300_000...300_000),
            ])
    }

    @Test(
        "A line that is not one says nothing",
        arguments: [
            "", "alice", "alice:1", "alice:1:2:3", "alice:x:5", "alice:5:x", "alice:5:0", "alice:-1:5", "nobody:5:5",
            "alice:4294967296:1", "alice: 5:5", "#alice:5:5", ":5:5",
        ])
    func otherLines(_ line: String) {
        #expect(parse(line + "\nbob:7:1\n") == [Range(account: 1001, uids: 7...7)])
    }

    @Test("A range never contains root's uid, and ends with the last uid")
    func bounds() {
        #expect(parse("alice:0:65536\n") == [])
        #expect(parse("alice:4294967290:100\n") == [Range(account: 1000, uids: 4_294_967_290...UInt32.max)])
    }

    @Test("Root's subordinate uids count as one account, which is not root")
    func root() {
        #expect(parse("root:100000:65536\n") == [Range(account: 100_000, uids: 100_000...165_535)])
    }

    @Test("An account is looked up once")
    func lookups() {
        let asked = Monitor<[String]>([])
        _ = SubordinateAccounts.parse(Array("a:5:5\nb:50:5\na:500:5\nb:5000:5\n".utf8)) { name in
            asked.update { $0.append(name) }
            return name == "a" ? 1000 : nil
        }
        #expect(asked.withLock(\.self) == ["a", "b"])
    }

    @Test("The file is read again when it has changed, and any other uid counts for itself")
    func changes() throws {
        let queue = try WorkQueue("test accounts")
        defer { queue.stop(discardingPending: true) }
        let path = temporaryPath("subuid")
        try Files.write(Array("1000:100000:65536\n".utf8), to: path, mode: 0o600)
        defer { try? Files.remove(path) }
        let accounts = SubordinateAccounts(
            path: path, accounts: AccountResolver(queue: queue, logger: TestLog().logger))
        #expect(
            [0, 500, 1000, 100_000, 165_535, 165_536].map(accounts.account) == [0, 500, 1000, 1000, 1000, 165_536])
        try Files.write(Array("1001:100000:65536\n".utf8), to: path, mode: 0o600)
        #expect(eventually { accounts.account(of: 100_000) == 1001 })
        try Files.remove(path)
        #expect(eventually { accounts.account(of: 100_000) == 100_000 })
    }
}
