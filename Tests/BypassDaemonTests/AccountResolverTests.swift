import BypassPolicy
import Linux
import Testing

@testable import BypassDaemon

/// Servers of accounts that do not answer.
@Suite struct AccountResolverTests {
    /// Accounts whose servers can be stopped.
    private final class Server: Sendable {
        private struct State {
            var numbers: [AccountName: UInt32] = [.user("alice"): 1001, .user("bob"): 1002, .group("night"): 77]
            var isSilent = false
            /// Silent about others than this one.
            var exception: AccountName?
            var asked: [AccountName] = []
        }

        private let state = Monitor(State())
        let log = TestLog()
        let queue: WorkQueue
        let resolver: AccountResolver

        init() throws {
            let state = state
            queue = try WorkQueue("test accounts", threads: AccountResolver.threads)
            resolver = AccountResolver(
                AccountLookup { name in
                    state.update { $0.asked.append(name) }
                    return state.wait { !$0.isSilent || $0.exception == name ? .some($0.numbers[name]) : nil }
                }, local: AccountLookup { $0 == .user("local") ? 500 : nil }, queue: queue, logger: log.logger)
        }

        func silence(but exception: AccountName? = nil) {
            state.update { state in (state.isSilent, state.exception, state.asked) = (true, exception, []) }
        }

        func answer(_ name: AccountName? = nil, _ number: UInt32? = nil) {
            state.update { state in
                if let name { state.numbers[name] = number }
                state.isSilent = false
            }
        }

        var asked: [AccountName] { state.withLock(\.asked) }

        func find(_ name: AccountName) throws -> UInt32? {
            try resolver.find(name, by: .now + .milliseconds(20))
        }
    }

    private func with(_ body: (Server) throws -> Void) throws {
        let server = try Server()
        defer {
            server.answer()
            server.queue.stop(discardingPending: true)
        }
        try body(server)
    }

    @Test func `A name keeps its last number, which is logged once`() throws {
        try with { (server: Server) throws in
            #expect(try server.resolver.find(.user("alice"), by: testDeadline()) == 1001)
            server.silence()
            for _ in 0..<3 { #expect(try server.find(.user("alice")) == 1001) }
            #expect(
                server.log.lines == [
                    "the account server does not answer: the last known number stays in effect "
                        + "account=user alice number=1001"
                ])
            #expect(server.resolver.unanswered == [.user("alice")])
            server.answer(.user("alice"), 2001)
            #expect(eventually { (try? server.find(.user("alice"))) == 2001 })
            #expect(server.resolver.unanswered == [])
        }
    }

    @Test func `A name that was never known is not taken for one that does not exist`() throws {
        try with { (server: Server) throws in
            #expect(try server.resolver.find(.user("eve"), by: testDeadline()) == nil)
            server.silence()
            #expect(throws: (any Error).self) { try server.find(.user("bob")) }
            #expect(try server.find(.user("local")) == 500)
        }
    }

    @Test func `Each name is asked for once at a time, however often it is needed`() throws {
        try with { (server: Server) throws in
            server.silence()
            for _ in 0..<20 { _ = try? server.find(.user("bob")) }
            #expect(server.asked == [.user("bob")])
        }
    }

    @Test func `One name without an answer does not keep others from theirs`() throws {
        try with { (server: Server) throws in
            server.silence(but: .group("night"))
            for name in ["alice", "bob", "eve"] { server.resolver.ask(.user(name)) }
            #expect(try server.resolver.find(.group("night"), by: testDeadline()) == 77)
        }
    }

    @Test func `Names of subordinate ranges keep their numbers, too`() throws {
        try with { (server: Server) throws in
            let path = temporaryPath("subuid")
            try Files.write(Array("alice:100000:65536\n".utf8), to: path)
            defer { try? Files.remove(path) }
            let accounts = SubordinateAccounts(path: path, accounts: server.resolver)
            #expect(accounts.account(of: 100_000) == 1001)
            server.silence()
            let began = Instant.now
            try Files.write(Array("alice:100000:65536\nlocal:200000:65536\n".utf8), to: path)
            _ = accounts.account(of: 200_000)
            #expect(Instant.now - began < .seconds(1), "a call waits for no server")
            #expect(eventually { accounts.account(of: 200_000) == 500 && accounts.account(of: 100_000) == 1001 })
        }
    }
}
