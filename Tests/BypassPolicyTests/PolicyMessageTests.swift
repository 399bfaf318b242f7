import Bypass
import BypassAPI
import BypassPolicy
import Testing

@Suite struct PolicyMessageTests {
    private func message(_ error: BypassError?) throws -> String {
        guard case .permissionDenied(let message) = error else {
            Issue.record("\(String(describing: error))")
            return ""
        }
        return message
    }

    @Test(
        "A caller without a role learns what would give it",
        arguments: [
            (
                People.stranger, Permission.read,
                "uid 1003 may not call it: a grant of role read to this user or one of its groups would allow it"
            ),
            (
                People.reader, .bypass,
                "uid 1002 may not call it: the grant in line 3 gives role read, and this needs role bypass"
            ),
            (
                People.operatorInGroup, .admin,
                "uid 1001 may not call it: the grant in line 7 gives role bypass, and this needs role admin"
            ),
        ])
    func roles(_ caller: Caller, _ role: Permission, _ text: String) throws {
        #expect(try message(try People.policy().roleRefusal(of: caller, asking: role, to: "call it")) == text)
    }

    @Test("Without a file the group is named")
    func withoutAFile() throws {
        let policy = Policy.builtIn(group: 900)
        #expect(
            try message(policy.roleRefusal(of: People.stranger, asking: .bypass, to: "call bypass"))
                == "uid 1003 may not call bypass: membership of group kmesh would allow it")
        #expect(
            try message(policy.roleRefusal(of: People.operatorInGroup, asking: .admin, to: "call clear"))
                == "uid 1001 may not call clear: without a policy file only root may")
        #expect(
            try message(Policy.builtIn(group: nil).roleRefusal(of: People.stranger, asking: .read, to: "call list"))
                == "uid 1003 may not call list: without a policy file only root and the group kmesh may, and no such "
                + "group is known here")
    }

    @Test("A grant with a scope allows a bypass within it, and says so otherwise")
    func scope() throws {
        let (port, ports) = (try ConnectionSet(ports: [PortRange(80)]), try ConnectionSet(ports: [PortRange("1-100")]))
        let grant = Grant(line: 4, subjects: [.user(1, written: "a")], role: .bypass, scope: Scope(only: ports))
        let policy = Policy(grants: [grant])
        func refusal(_ scope: Scope) -> String? {
            let change = Change(netns: "web", operation: .on(hooks: both, scope: scope, ttl: nil))
            do throws(BypassError) {
                _ = try policy.authorize(change, by: Caller(uid: 1, gid: 1))
                return nil
            } catch {
                return error.message
            }
        }
        #expect(refusal(Scope(only: port)) == nil && refusal(Scope(only: ports, except: port)) == nil)
        #expect(
            refusal(.all) == "uid 1 may not turn on web: the grant in line 4 requires a scope within (only ports 1-100)"
        )
        #expect(
            refusal(Scope(except: port))
                == "uid 1 may not turn on web for all but port 80: the grant in line 4 requires a scope within "
                + "(only ports 1-100)")
        // A user who may bypass a namespace may end any bypass in it.
        _ = try policy.authorize(Change(netns: "web", operation: .off), by: Caller(uid: 1, gid: 1))
    }

    @Test(
        "A caller with the role learns what the nearest grant lacks, and where it stands",
        arguments: [
            (
                Change(netns: "web-1", operation: .on(hooks: [.prerouting], ttl: nil)),
                "turn on web-1 without a time limit: the grant in line 7 requires one of at most 1h (--for 1h, or ttl 3600)"
            ),
            (
                Change(netns: "web-1", operation: .on(hooks: [.prerouting], ttl: 7200)),
                "turn on web-1 for 2h: the grant in line 7 allows at most 1h (--for 1h, or ttl 3600)"
            ),
            (
                Change(netns: "web-1", operation: .on(hooks: both, ttl: 60)),
                "turn on web-1 in both directions: the grant in line 7 allows inbound only"
            ),
            (
                Change(netns: "pod:1", operation: .on(hooks: [.output], ttl: nil)),
                "turn on pod:1: the grant in line 15 is for test only"
            ),
            (Change(netns: "db", operation: .off), "turn off db: the grant in line 7 is for web-*, pod:* only"),
            (
                Change(netns: "/srv/netns/a", operation: .off),
                "turn off /srv/netns/a: the grant in line 7 is for web-*, pod:* only"
            ),
        ])
    func changes(_ change: Change, _ text: String) throws {
        let refusal = try People.policy().denial(of: change, by: People.operatorInGroup)
        #expect(try message(refusal) == "uid 1001 may not " + text)
    }

    @Test(
        "What a client wrote neither steers a terminal nor passes for a part of the sentence",
        arguments: [
            ("a b", "\"a b\""), ("\u{1B}[2J", "\"\\u{1b}[2J\""), ("x\": ok", "\"x\\\": ok\""), ("", "\"\""),
            ("a\nb", "\"a\\nb\""),
            (String(repeating: "a", count: 200), "\"" + String(repeating: "a", count: 128) + "…\""),
        ])
    func quoting(_ netns: String, _ shown: String) throws {
        let refusal = Policy.builtIn(group: 900).denial(of: Change(netns: netns, operation: .off), by: People.stranger)
        #expect(
            try message(refusal) == "uid 1003 may not turn off \(shown): membership of group kmesh would allow it")
    }

    @Test("The subjects of a grant are one line, however many there are")
    func manyNamespaces() throws {
        let globs = try (1...9).map { try Glob("a\($0)") }
        let policy = Policy(
            grants: [Grant(line: 1, subjects: [.user(1003, written: "s")], role: .bypass, namespaces: globs)])
        let refusal = policy.denial(of: Change(netns: "b", operation: .off), by: People.stranger)
        #expect(try message(refusal).hasSuffix("the grant in line 1 is for a1, a2, a3, a4 and 5 more only"))
    }

    @Test("Every grant says what it has to say")
    func explain() throws {
        let policy = try People.policy()
        let change = Change(netns: "web-1", operation: .on(hooks: both, ttl: nil))
        let evaluations = policy.explain(change, for: People.operatorInGroup)
        #expect(evaluations.map(\.grant.line) == [3, 7, 15, 20])
        #expect(
            evaluations.map { $0.subject?.description } == [nil, "group kmesh", "user operator", nil])
        #expect(evaluations.map(\.unmetRequirements.count) == [0, 2, 1, 0])
        #expect(evaluations.map(\.allows) == [false, false, false, false])
        let off = policy.explain(Change(netns: "web-1", operation: .off), for: People.operatorInGroup)
        #expect(off.map(\.allows) == [false, true, false, false])
        let host = Change(netns: "host", operation: .off, isHost: true)
        #expect(policy.explain(host, for: People.admin).map(\.allows) == [false, false, false, true])
        #expect(
            policy.explain(host, for: People.operatorInGroup).map(\.unmetRequirements) == [[], [.host], [.host], []])
        let other = Change(netns: "pid:1", operation: .off, isHost: true)
        #expect(policy.explain(other, for: People.admin).last?.unmetRequirements == [.hostByOtherName])
        #expect(policy.explain(Permission.read, for: People.reader).map(\.allows) == [true, false, false, false])
    }
}
