import ArgumentParser
import Bypass
import BypassAPI
import BypassPolicy
import Console
import Testing

@testable import kmesh_bypassctl

/// What `policy check` and `policy explain` print.
@Suite struct PolicyTextTests {
    private let plain = Style(isColored: false, now: Timestamp(secondsSince1970: 0))

    private func source(untrustedReason: String? = nil) throws -> PolicySource {
        let accounts = AccountLookup(
            uid: { ["alice": 1001, "bob": 1002][$0] }, gid: { ["kmesh": 900, "wheel": 10][$0] })
        let text = """
            [[grant]]
            groups = ["kmesh"]
            users = ["bob", 1004]
            role = "bypass"
            namespaces = ["web-*", "pod:*"]
            directions = ["inbound"]
            max-ttl = 5400
            [[grant]]
            users = ["alice"]
            role = "read"
            [[grant]]
            groups = ["wheel"]
            role = "admin"
            host = true
            """
        return PolicySource(
            path: "f", policy: try PolicyFile.read(Array(text.utf8), resolving: accounts),
            untrustedReason: untrustedReason)
    }

    @Test func `A summary says what each grant means`() throws {
        #expect(
            summary(of: try source(), plain) == """
                f is in order: 3 grants
                line 1   user bob, user 1004, group kmesh may read status, and turn bypasses on and off in web-*, pod:*; on for inbound only; on for at most 90m
                line 8   user alice may read status
                line 11  group wheel may do everything, in the host's namespace too
                always   root may do everything but touch the host's namespace
                         all others may do nothing

                """)
    }

    @Test func `Without a file the summary shows the built-in policy`() {
        let source = PolicySource(path: "f", policy: .builtIn(group: 900))
        #expect(
            summary(of: source, plain) == """
                there is no f: the built-in policy is in effect
                built in  group kmesh may read status, and turn bypasses on and off in all namespaces but the host's
                always    root may do everything but touch the host's namespace
                          all others may do nothing

                """)
    }

    @Test func `Where the group is missing the summary says so`() {
        let text = summary(of: PolicySource(path: "f", policy: .builtIn(group: nil)), plain)
        #expect(text.contains("built in  a group kmesh could use bypasses, but there is none\n"))
        #expect(!text.contains("may read status"))
    }

    @Test func `What has no effect for now is a warning`() throws {
        var source = try source()
        source.warnings = ["f:3: users: no user is named \"eve\""]
        #expect(summary(of: source, plain).hasSuffix("warning: f:3: users: no user is named \"eve\"\n"))
    }

    @Test func `A file that the daemon would not accept is reported`() throws {
        let text = summary(of: try source(untrustedReason: "f belongs to \u{1B}uid 7"), plain)
        #expect(text.hasSuffix("warning: the daemon will not accept the file as it is: f belongs to \\u{1b}uid 7\n"))
    }

    private func explain(
        _ caller: Caller, _ target: PolicyExplain.Target?, hooks: HookSet = [.prerouting], ttl: Int? = nil
    ) throws -> String {
        Explanation(
            source: try source(), user: .init(caller: caller, description: "alice"), target: target, hooks: hooks,
            ttl: ttl
        ).text(plain)
    }

    private let member = Caller(uid: 1003, gid: 1003, groups: [900])

    @Test func `What a user may do to a namespace is shown with the grant that decides`() throws {
        #expect(
            try explain(member, .init(netns: "db", names: ["web-1"])) == """
                user:    alice
                policy:  f

                TO                                                         ANSWER  BECAUSE
                call status, list, subscribe, metrics, info, rpc.discover  yes     the grant in line 1, through group kmesh
                call bypass, extend, explain, trace                        yes     the grant in line 1, through group kmesh
                turn on db inbound without a time limit                    no      uid 1003 may not turn on db without a time limit: the grant in line 1 requires one of at most 90m (--for 90m, or ttl 5400)
                turn off db                                                yes     the grant in line 1, through group kmesh
                call clear                                                 no      uid 1003 may not call clear: the grant in line 1 gives role bypass, and this needs role admin

                GRANT    THROUGH      TO turn on db inbound without a time limit
                line 1   group kmesh  requires one of at most 90m (--for 90m, or ttl 5400)
                line 8   -            is not this user's: user alice may read status
                line 11  -            is not this user's: group wheel may do everything, in the host's namespace too

                """)
        let allowed = try explain(member, .init(netns: "web-1"), ttl: 60)
        #expect(
            allowed.contains(
                "turn on web-1 inbound for 1m                               yes     the grant in line 1, through group kmesh\n"
            ))
        #expect(allowed.contains("line 1   group kmesh  allows it\n"))
    }

    @Test func `Without a namespace the meaning of the grants is shown`() throws {
        let text = try explain(Caller(uid: 1001, gid: 1001), nil)
        #expect(text.contains("GRANT    THROUGH     MEANS\n"))
        #expect(text.contains("line 8   user alice  user alice may read status\n"))
        #expect(!text.contains("turn off"))
    }

    @Test func `Root and the host's namespace have their own reasons`() throws {
        let host = PolicyExplain.Target(netns: "pid:1", isHost: true)
        let root = Caller(uid: 0, gid: 0)
        let refused = try explain(root, host)
        #expect(
            refused.contains(
                "call bypass, extend, explain, trace                        yes     root is always admin\n"),
            "\(refused)")
        #expect(refused.contains("no      pid:1 is the host's own network namespace"))
        let member = Caller(uid: 7, gid: 10)
        let named = try explain(member, host)
        #expect(
            named.contains("no      pid:1 is the host's own network namespace: only the name host means it"), "\(named)"
        )
        #expect(named.contains("is for the host's namespace by the name host only"))
        let wheel = try explain(member, .init(netns: "host", isHost: true))
        #expect(wheel.contains("yes     the grant in line 11, through group wheel\n"))
        #expect(!wheel.contains("no  "))
    }

    @Test func `A namespace that cannot be opened is reported`() throws {
        let text = try explain(member, .init(netns: "\u{1B}x", openError: "it is gone"))
        #expect(text.contains("warning: \\u{1b}x cannot be opened (it is gone): whether it is the host's"))
        #expect(!text.unicodeScalars.contains("\u{1B}"))
    }

    @Test func `A user is known by name or number, or not at all`() throws {
        for name in ["root", "0"] {
            let user = try PolicyExplain.User(name)
            #expect(user.caller.uid == 0 && user.caller.isMember(of: 0))
            #expect(user.description.hasPrefix("root (uid 0), in groups root"))
        }
        let unknown = try PolicyExplain.User("4294967000")
        #expect(unknown.caller == Caller(uid: 4_294_967_000, gid: .max))
        for name in ["no-such-user", "4294967295", "-1", ""] {
            #expect(throws: PolicySource.Failure.self) { try PolicyExplain.User(name) }
        }
    }
}
