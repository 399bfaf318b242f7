import Bypass
import BypassAPI
import Testing

@testable import BypassPolicy

/// The people of the tests, and a policy that knows them.
enum People {
    static let root = Caller(uid: 0, gid: 0)
    /// In the group kmesh by supplementary groups.
    static let operatorInGroup = Caller(uid: 1001, gid: 1001, groups: [27, 900])
    static let reader = Caller(uid: 1002, gid: 1002)
    static let stranger = Caller(uid: 1003, gid: 1003, groups: [27])
    /// Whom line 20 makes admin, by its primary group.
    static let admin = Caller(uid: 1004, gid: 10)

    static func grants() throws -> [Grant] {
        [
            Grant(line: 3, subjects: [.user(1002, written: "reader")], role: .read),
            Grant(
                line: 7, subjects: [.group(900, written: "kmesh")], role: .bypass,
                namespaces: [try Glob("web-*"), try Glob("pod:*")], hooks: [.prerouting], maxTTL: 3600,
                requiresTTL: true),
            Grant(
                line: 15, subjects: [.user(1001, written: "operator")], role: .bypass, namespaces: [try Glob("test")]),
            Grant(line: 20, subjects: [.group(10, written: "wheel")], role: .admin, allowsHost: true),
        ]
    }

    static func policy() throws -> Policy { Policy(grants: try grants()) }
}

@Suite struct PolicyTests {
    private static let builtIn = Policy.builtIn(group: 900)

    @Test(
        "A role includes the lower ones, and is had by user, primary or supplementary group",
        arguments: [
            (People.root, Permission.admin), (People.admin, .admin), (People.operatorInGroup, .bypass),
            (People.reader, .read), (People.stranger, nil),
        ])
    func roles(_ caller: Caller, _ role: Permission?) throws {
        for asked in Permission.allCases {
            let refusal = try People.policy().roleRefusal(of: caller, asking: asked, to: "call it")
            #expect((refusal == nil) == (role.map { asked <= $0 } ?? false))
        }
    }

    @Test("Who says nothing of an end gets the one of the first grant that allows it; root is asked for none")
    func defaultTTL() throws {
        func grant(_ glob: String, requires: Bool = false, _ seconds: Int?) throws -> Grant {
            Grant(
                subjects: [.user(1001, written: "operator")], role: .bypass, namespaces: [try Glob(glob)], maxTTL: nil,
                requiresTTL: requires, defaultTTL: seconds)
        }
        let policy = Policy(grants: [
            try grant("a*", requires: true, 60), try grant("*b", 90), try grant("*", nil),
        ])
        func ttl(_ netns: String, _ asked: Int? = nil, of caller: Caller = People.operatorInGroup) -> Int? {
            let change = Change(netns: netns, operation: .on(hooks: both, ttl: asked))
            #expect(policy.denial(of: change, by: caller) == nil)
            return policy.permit(change, by: caller)?.ttl
        }
        #expect(ttl("ab") == 60 && ttl("b") == 90 && ttl("c") == nil)
        #expect(ttl("ab", of: People.root) == nil)
        #expect(ttl("ab", 30) == 30 && ttl("ab", 30, of: People.root) == 30)
    }

    @Test(
        "Without a file root is admin, the group may read and bypass, and everybody else nothing",
        arguments: [
            (People.root, Permission.admin), (People.operatorInGroup, .bypass), (People.reader, nil),
            (People.stranger, nil),
        ])
    func withoutAFile(_ caller: Caller, _ role: Permission?) {
        for asked in Permission.allCases {
            let refusal = Self.builtIn.roleRefusal(of: caller, asking: asked, to: "call it")
            #expect((refusal == nil) == (role.map { asked <= $0 } ?? false))
        }
        let change = Change(netns: "/proc/4711/ns/net", operation: .on(hooks: both, ttl: nil))
        #expect((Self.builtIn.denial(of: change, by: caller) == nil) == ((role ?? .read) >= .bypass))
        #expect(!Self.builtIn.looksAtNames(for: caller))
    }

    @Test("Without a file and without the group only root may anything")
    func withoutTheGroup() {
        let policy = Policy.builtIn(group: nil)
        #expect(policy.roleRefusal(of: People.root, asking: .admin, to: "call it") == nil)
        #expect(policy.roleRefusal(of: People.operatorInGroup, asking: .read, to: "call it") != nil)
    }

    private static let inbound = Change.Operation.on(hooks: [.prerouting], ttl: 60)

    @Test(
        "One grant has to allow all of a change",
        arguments: [
            (Change(netns: "web-1", operation: inbound), true),
            (Change(netns: "db", operation: inbound), false),
            (Change(netns: "db", names: ["a", "web-1"], operation: inbound), true),
            (Change(netns: "pod:3f1c", operation: inbound), true),
            (Change(netns: "web-1", operation: .on(hooks: [.output], ttl: 60)), false),
            (Change(netns: "web-1", operation: .on(hooks: both, ttl: 60)), false),
            (Change(netns: "web-1", operation: .on(hooks: [.prerouting], ttl: 3600)), true),
            (Change(netns: "web-1", operation: .on(hooks: [.prerouting], ttl: 3601)), false),
            (Change(netns: "web-1", operation: .on(hooks: [.prerouting], ttl: nil)), false),
            (Change(netns: "test", operation: .on(hooks: both, ttl: nil)), true),
            // A user who may bypass a namespace may end any bypass in it.
            (Change(netns: "web-1", operation: .off), true), (Change(netns: "db", operation: .off), false),
        ])
    func changes(_ change: Change, _ isAllowed: Bool) throws {
        let policy = try People.policy()
        #expect((policy.denial(of: change, by: People.operatorInGroup) == nil) == isAllowed)
        #expect(policy.denial(of: change, by: People.root) == nil)
        #expect(policy.denial(of: change, by: People.admin) == nil)
        #expect(policy.denial(of: change, by: People.reader) != nil)
        #expect(policy.denial(of: change, by: People.stranger) != nil)
    }

    @Test("A longest ttl refuses a bypass without end, also where none is required by word")
    func longestTTL() {
        let policy = Policy(grants: [Grant(subjects: [.user(1001, written: "1001")], role: .bypass, maxTTL: 60)])
        let change = Change(netns: "web", operation: .on(hooks: both, ttl: nil))
        #expect(policy.denial(of: change, by: People.operatorInGroup) != nil)
    }

    @Test("A permit has the ttl as asked, or else the default, and the limits of the grant that allows it")
    func permit() throws {
        let policy = Policy(grants: [
            Grant(
                subjects: [.user(1001, written: "1001")], role: .bypass, namespaces: [try Glob("a")], maxTTL: 60,
                defaultTTL: 30),
            Grant(subjects: [.user(1001, written: "1001")], role: .bypass, maxTTL: 600),
        ])
        func on(_ netns: String, _ ttl: Int?) -> Change { Change(netns: netns, operation: .on(hooks: both, ttl: ttl)) }
        let caller = People.operatorInGroup
        #expect(policy.permit(on("a", nil), by: caller) == Permit(ttl: 30, maxTTL: 60, defaultTTL: 30))
        #expect(policy.permit(on("a", 45), by: caller) == Permit(ttl: 45, maxTTL: 60, defaultTTL: 30))
        #expect(policy.permit(on("a", 90), by: caller) == Permit(ttl: 90, maxTTL: 600))
        #expect(policy.permit(on("a", nil), by: People.root) == Permit())
        #expect(policy.permit(on("a", 90), by: People.root) == Permit(ttl: 90))
        #expect(
            policy.permit(Change(netns: "a", operation: .off), by: caller)
                == Permit(ttl: nil, maxTTL: 60, defaultTTL: 30))
        #expect(
            try People.policy().permit(Change(netns: "host", operation: .off, isHost: true), by: People.admin)
                == Permit())
    }

    @Test("Priority is had by a grant of any role that says so, and by root always")
    func priority() throws {
        let policy = Policy(grants: [
            Grant(subjects: [.user(1002, written: "reader")], role: .read, hasPriority: true),
            Grant(subjects: [.group(900, written: "kmesh")], role: .bypass),
        ])
        #expect(policy.hasPriority(People.root) && policy.hasPriority(People.reader))
        #expect(!policy.hasPriority(People.operatorInGroup) && !policy.hasPriority(People.stranger))
        #expect(Self.builtIn.hasPriority(People.root) && !Self.builtIn.hasPriority(People.operatorInGroup))
    }

    @Test("Everybody may read the status of a namespace, and of the host's who has a grant for that")
    func reading() throws {
        let policy = try People.policy()
        for caller in [People.root, People.admin, People.operatorInGroup, People.reader] {
            #expect(throws: Never.self) { try policy.authorizeRead(netns: "web", isHost: false, by: caller) }
            let mayReadHost = (try? policy.authorizeRead(netns: "host", isHost: true, by: caller)) != nil
            #expect(mayReadHost == (caller == People.admin))
            // However it is called, it is the host's.
            for name in ["web", "pid:1", "/proc/1/ns/net", "pod:1", "/run/netns/host"] {
                #expect((try? policy.authorizeRead(netns: name, isHost: true, by: caller)) == nil)
            }
        }
    }

    @Test("A reference counts in the one spelling that it has, and not as it was written")
    func spelling() throws {
        let policy = try People.policy()
        let change = Change(netns: "/run/netns/web-1", reference: "web-1", operation: Self.inbound)
        #expect(policy.denial(of: change, by: People.operatorInGroup) == nil)
        let misleading = Change(netns: "pod:1", reference: "/run/netns/pod:1", operation: Self.inbound)
        #expect(policy.denial(of: misleading, by: People.operatorInGroup) != nil)
    }

    @Test("The host's namespace needs a word for it, from root too; a caller without the role learns that first")
    func host() throws {
        func code(_ policy: Policy, _ caller: Caller, _ name: String = "host") -> String {
            switch policy.denial(of: Change(netns: name, operation: Self.inbound, isHost: true), by: caller) {
            case nil: "allowed"
            case .permissionDenied: "denied"
            case .hostNetnsRefused(let message): message.contains("host = true") ? "host" : message
            default: "another"
            }
        }
        let policy = try People.policy()
        #expect(code(policy, People.admin) == "allowed")
        for name in ["web-1", "pid:1", "pod:1", "/run/netns/host"] {
            #expect(code(policy, People.admin, name) == "host")
        }
        #expect(code(policy, People.root) == "host")
        #expect(code(policy, People.operatorInGroup) == "host")
        #expect(code(policy, People.reader) == "denied")
        #expect(code(policy, People.stranger) == "denied")
        #expect(code(Self.builtIn, People.root) == "host")
        let admins = Policy(grants: [Grant(subjects: [.group(10, written: "wheel")], role: .admin)])
        #expect(code(admins, People.admin) == "host")
        let forRoot = Policy(grants: [Grant(subjects: [.user(0, written: "root")], role: .admin, allowsHost: true)])
        #expect(code(forRoot, People.root) == "allowed")
        let bypass = Policy(grants: [Grant(subjects: [.user(0, written: "root")], role: .bypass, allowsHost: true)])
        #expect(code(bypass, People.root) == "host")
    }

    @Test("Names under /run/netns are looked at only for whom they matter")
    func names() throws {
        var policy = try People.policy()
        #expect(policy.looksAtNames(for: People.operatorInGroup))
        for caller in [People.root, People.admin, People.reader, People.stranger] {
            #expect(!policy.looksAtNames(for: caller))
        }
        policy = Policy(grants: policy.grants + [Grant(subjects: [.user(1001, written: "1001")], role: .bypass)])
        #expect(!policy.looksAtNames(for: People.operatorInGroup), "another grant allows everything")
    }
}
