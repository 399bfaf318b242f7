import Bypass
import BypassAPI
import BypassPolicy
import Testing

@Suite struct PolicyFileTests {
    @Test func `A file is what it says`() throws {
        let policy = try read(
            """
            # Who may do what on this node.
            [[grant]]
            users = ["alice", 1004]
            groups = ["kmesh"]   # every operator
            role = "bypass"
            namespaces = [
                "web-*",
                'pod:*',  # all pods
            ]
            directions = ["inbound"]
            max-ttl = "1h"
            require-ttl = true

            [[ grant ]]
            "groups" = ["wheel"]
            role = "admin"
            host = true
            """)
        #expect(!policy.isBuiltIn)
        #expect(
            policy.grants == [
                Grant(
                    line: 2,
                    subjects: [
                        .user(1001, written: "alice"), .user(1004, written: "1004"), .group(900, written: "kmesh"),
                    ], role: .bypass, namespaces: [try Glob("web-*"), try Glob("pod:*")], hooks: [.prerouting],
                    maxTTL: 3600, requiresTTL: true),
                Grant(line: 14, subjects: [.group(10, written: "wheel")], role: .admin, allowsHost: true),
            ])
    }

    @Test(arguments: ["", "\n", "# nothing\r\n", "\t \n\n"])
    func `A file without grants grants nothing`(text: String) throws {
        let policy = try read(text)
        #expect(policy.grants.isEmpty)
        #expect(!policy.isBuiltIn)
    }

    @Test func `Both directions are not a limit`() throws {
        #expect(try read(bob + "directions = [\"both\"]").grants.map(\.hooks) == [nil])
        #expect(try read(bob + "directions = [\"inbound\", \"outbound\"]").grants.map(\.hooks) == [nil])
        #expect(try read(bob + "directions = [\"outbound\"]").grants.map(\.hooks) == [[.output]])
    }

    @Test func `A grant's scope has ports and networks`() throws {
        let keys = """
            only-ports = [8080, "9000-9100"]
            only-networks = ["10.0.0.0/8"]
            except-ports = [9050]
            except-networks = ["10.1.0.0/16", "fd00::/8"]
            """
        let scope = try read(bob + keys).grants.first?.scope
        #expect(
            scope.map { "\($0)" }
                == "only ports 8080, 9000-9100 in network 10.0.0.0/8, except port 9050 in networks 10.1.0.0/16, fd00::/8"
        )
        #expect(try read(bob + "only-ports = [8080]").grants.map(\.scope.except) == [nil])
    }

    @Test(arguments: [("90", 90), ("\"90s\"", 90), ("3_155_760_000", 3_155_760_000), ("'2h'", 7200)])
    func `A ttl is in seconds or as people write it`(text: String, seconds: Int) throws {
        #expect(try read(bob + "max-ttl = \(text)").grants.map(\.maxTTL) == [seconds])
        #expect(try read(bob + "default-ttl = \(text)").grants.map(\.defaultTTL) == [seconds])
    }

    @Test(arguments: ["read", "bypass", "admin"])
    func `Priority goes with any role`(role: String) throws {
        let grant = "[[grant]]\nusers = [\"bob\"]\nrole = \"\(role)\"\n"
        #expect(try read(grant + "priority = true").grants.map(\.hasPriority) == [true])
        #expect(try read(grant).grants.map(\.hasPriority) == [false])
        #expect(diagnostics(grant + "priority = 1") == ["f:4: priority: takes true or false, not a number"])
    }

    private static let wrong: [(String, [String])] = [
        // Accounts
        (
            "[[grant]]\nrole = \"read\"\nusers = [-1]",
            ["f:3: users: -1 is not the number of a user (0 to 4294967294)"]
        ),
        (
            "[[grant]]\nrole = \"read\"\nusers = [4294967295]",
            ["f:3: users: 4294967295 is not the number of a user (0 to 4294967294)"]
        ),
        ("[[grant]]\nrole = \"read\"\nusers = [true]", ["f:3: users: takes names and numbers, not true or false"]),
        ("[[grant]]\nrole = \"read\"\nusers = [\"bob\", \"bob\"]", ["f:3: users: \"bob\" is listed twice"]),
        ("[[grant]]\nrole = \"read\"\nusers = [\"alcie\", \"alcie\"]", ["f:3: users: \"alcie\" is listed twice"]),
        (
            "[[grant]]\nrole = \"read\"\nusers = [\"root\"]",
            ["f:3: users: root is always admin, so a grant of less has no effect"]
        ),
        // Keys
        (bob + "namespace = [\"web\"]", ["f:4: a grant has no \"namespace\"; did you mean \"namespaces\"?"]),
        (bob + "max_ttl = 5", ["f:4: a grant has no \"max_ttl\"; did you mean \"max-ttl\"?"]),
        (
            bob + "colour = 1",
            [
                "f:4: a grant has no \"colour\": it is one of users, groups, role, namespaces, directions, only-ports, "
                    + "only-networks, except-ports, except-networks, max-ttl, require-ttl, default-ttl, host, priority"
            ]
        ),
        ("role = \"read\"", ["f:1: \"role\" is outside of a grant: begin one with [[grant]]"]),
        ("[[grants]]", ["f:1: the table \"grants\" is unknown: a grant begins with [[grant]]"]),
        ("[grant]\nusers = [\"bob\"]\nrole = \"read\"", ["f:1: write [[grant]], as there may be several"]),
        // What is missing
        ("[[grant]]\nrole = \"read\"", ["f:1: this grant names neither users nor groups: add one of them"]),
        ("\n[[grant]]\nusers = [1]", ["f:2: this grant has no role: it is one of read, bypass, admin"]),
        ("[[grant]]\nusers = []\nrole = \"read\"", ["f:2: users: is empty: leave it out, or put something in"]),
        (bob + "namespaces = []", ["f:4: namespaces: is empty: leave it out, or put something in"]),
        // Types
        (
            "[[grant]]\nusers = \"bob\"\nrole = \"read\"",
            ["f:2: users: takes an array, such as [\"kmesh\"], not a string"]
        ),
        ("[[grant]]\nusers = [1]\nrole = 7", ["f:3: role: takes a string, not a number"]),
        ("[[grant]]\nusers = [1]\nrole = \"Admin\"", ["f:3: role: there is no \"Admin\"; did you mean \"admin\"?"]),
        (
            "[[grant]]\nusers = [1]\nrole = \"operator\"",
            ["f:3: role: there is no \"operator\": it is one of read, bypass, admin"]
        ),
        (bob + "namespaces = \"web\"", ["f:4: namespaces: takes an array, such as [\"web-*\"], not a string"]),
        (bob + "namespaces = [1]", ["f:4: namespaces: takes strings, not a number"]),
        (bob + "require-ttl = 1", ["f:4: require-ttl: takes true or false, not a number"]),
        (bob + "max-ttl = true", ["f:4: max-ttl: takes seconds, or a string such as \"15m\", not true or false"]),
        // Values
        (bob + "namespaces = [\"web-[\"]", ["f:4: namespaces: \"web-[\" is not a valid pattern: a [ is not closed"]),
        (bob + "namespaces = [\"\"]", ["f:4: namespaces: \"\" is not a valid pattern: it is empty"]),
        (bob + "namespaces = [\"a\", \"a\"]", ["f:4: namespaces: \"a\" is listed twice"]),
        (
            bob + "namespaces = [\"/run/netns/web-*\"]",
            ["f:4: namespaces: write \"web-*\": names under /run/netns go without the folder"]
        ),
        (bob + "namespaces = [\"host\"]", ["f:4: namespaces: \"host\" is for role admin with host = true only"]),
        (
            bob + "namespaces = [\"/srv/../web\"]",
            ["f:4: namespaces: \"/srv/../web\" matches nothing: write the path without '//', '.' and '..'"]
        ),
        (
            bob + "namespaces = [\"/proc/*/ns/net\"]",
            ["f:4: namespaces: write \"pid:*\": /proc/PID/ns/net counts as pid:PID"]
        ),
        (bob + "directions = [\"in\"]", ["f:4: directions: there is no \"in\": it is one of both, inbound, outbound"]),
        (
            bob + "directions = [\"both\", \"inbound\"]",
            ["f:4: directions: inbound overlaps with an earlier one"]
        ),
        (
            bob + "only-ports = [0, \"2-1\", \"http\", true]",
            [
                "f:4: only-ports: a port must be a port from 1 to 65535, or a range such as 9000-9100",
                "f:4: only-ports: \"2-1\" is empty: the lower port of a range comes first",
                "f:4: only-ports: \"http\" must be a port from 1 to 65535, or a range such as 9000-9100",
                "f:4: only-ports: takes ports and ranges, not true or false",
            ]
        ),
        (bob + "only-ports = [8080, \"8080\"]", ["f:4: only-ports: 8080 is listed twice"]),
        (
            bob + "except-ports = [\((1...17).map(String.init).joined(separator: ", "))]",
            ["f:4: except-ports: takes at most 16 ports and ranges in a set of connections"]
        ),
        (
            bob + "except-networks = [\"10.1.0.0/8\"]",
            [
                "f:4: except-networks: \"10.1.0.0/8\" has host bits after its prefix length: 10.0.0.0/8 is the network that contains it"
            ]
        ),
        (
            bob + "only-ports = [80]\nexcept-ports = [\"1-100\"]",
            ["f:5: except-ports, except-networks: leave no connection to bypass"]
        ),
        (bob + "max-ttl = 60\ndefault-ttl = \"2m\"", ["f:5: default-ttl: is longer than max-ttl allows"]),
        (bob + "default-ttl = 0", ["f:4: default-ttl: must be from 1 to 3155760000 seconds (100 years)"]),
        (bob + "max-ttl = 0", ["f:4: max-ttl: must be from 1 to 3155760000 seconds (100 years)"]),
        (bob + "max-ttl = 3155760001", ["f:4: max-ttl: must be from 1 to 3155760000 seconds (100 years)"]),
        (
            bob + "max-ttl = \"1w\"",
            [
                "f:4: max-ttl: \"1w\": give seconds, or whole numbers with d, h, m or s, the largest first, such as 15m or 1h30m"
            ]
        ),
        // Contradictions
        (bob + "host = true", ["f:4: host: goes with role admin only"]),
        (bob + "require-ttl = false", ["f:4: require-ttl: false is the default: leave it out"]),
        (
            bob + "max-ttl = 5\nrequire-ttl = false",
            ["f:5: require-ttl: max-ttl requires one, since a bypass without end is longer than any"]
        ),
        (
            "[[grant]]\nusers = [1]\nrole = \"admin\"\nnamespaces = [\"a\"]\nmax-ttl = 1",
            [
                "f:4: namespaces: goes with role bypass only; role admin has no limits",
                "f:5: max-ttl: goes with role bypass only; role admin has no limits",
            ]
        ),
        (bob + bob, ["f:4: this grant says the same as that of line 1"]),
    ]

    @Test(arguments: wrong)
    func `An error is reported with its line`(text: String, said: [String]) {
        #expect(diagnostics(text) == said)
    }

    @Test func `All errors are reported at once, by line`() {
        let lines = diagnostics(
            """
            user = 1
            [[grant]]
            users = []
            role = bypass
            [[grant]]
            groups = ["kmesh"
            role = "admim"
            host = maybe
            """)
        #expect(lines.map { $0.split(separator: ":")[1] } == ["1", "3", "4", "7", "7", "8"], "\(lines)")
    }

    @Test func `Of a thousand errors a hundred are reported, and that there are more`() {
        let lines = diagnostics(String(repeating: "x = y\n", count: 1000))
        #expect(lines.count == 101)
        #expect(lines.last?.contains("more") == true)
        #expect(
            diagnostics("[[grant]]\nrole = \"read\"\nusers = [\(String(repeating: "-1,", count: 1000))]").count == 101)
    }

    @Test func `A long word is cut in a report`() {
        let lines = diagnostics(String(repeating: "x", count: 100_000) + " = 1")
        #expect(lines.count == 1 && lines.allSatisfy { $0.count < 300 })
    }

    @Test func `What others wrote into a file does not steer a terminal`() {
        for line in diagnostics("[[grant]]\nusers = [\"\\u001b[2J\"]\nrole = \"\\u202E\"\n\"a\\nb\" = 1") {
            #expect(line.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x202E }, "\(line)")
        }
    }
}
