import ArgumentParser
import Bypass
import BypassAPI
import Console
import Testing

@testable import kmesh_bypassctl

@Suite struct TextTests {
    private let now = Timestamp(secondsSince1970: 1_795_475_527)
    private var plain: Style { Style(isColored: false, now: now) }
    private var colored: Style { Style(isColored: true, now: now) }

    @Test(arguments: [
        ("web", "web"), ("é 漢 👍", "é 漢 👍"), ("", ""),
        ("\u{1B}[31mred", #"\u{1b}[31mred"#), ("a\nb\r\tc\u{0}", #"a\nb\r\tc\u{0}"#),
        ("\u{7F}\u{9B}2J", #"\u{7f}\u{9b}2J"#),
        ("\r\n", #"\r\n"#), ("abc\u{202E}cba", #"abc\u{202e}cba"#), ("\u{2028}\u{FEFF}", #"\u{2028}\u{feff}"#),
        (#"\n"#, #"\\n"#),
    ])
    func `Nothing that a terminal acts on gets through`(text: String, shown: String) {
        #expect(text.printable == shown)
    }

    @Test(arguments: [
        (0, "0s"), (59, "59s"), (60, "1m"), (872, "14m 32s"), (7200, "2h"), (7501, "2h 5m"), (90061, "1d 1h"),
    ])
    func `Times are shown in their two largest units`(seconds: Int64, text: String) {
        #expect(spell(seconds: seconds) == text)
    }

    @Test func `A change is a line, with its warnings below, and nothing in it is for the terminal`() {
        var bypass = BypassStatus(
            netns: "we\u{1B}b", inode: 7, state: .degraded, effective: true, direction: .inbound,
            expiresAt: Timestamp(secondsSince1970: 900), owner: "me\nand you",
            warnings: [.init(code: "rule-missing", message: "gone")])
        let style = Style(isColored: false, now: Timestamp(secondsSince1970: 0))
        #expect(
            Watch.line(.degraded, .init(sequence: 1, bypass: bypass), style) == """
                1970-01-01T00:00:00Z  degraded  we\\u{1b}b  inbound  expires in 15m  for me\\nand you
                warning: we\\u{1b}b: gone (rule-missing)

                """)
        bypass.warnings = []
        #expect(
            Watch.line(.gone, .init(sequence: 2, bypass: bypass), style)
                == "1970-01-01T00:00:00Z  gone  we\\u{1b}b\n")
    }

    @Test func `An end says who and why, and a repair what was damaged`() {
        let style = Style(isColored: false, now: Timestamp(secondsSince1970: 0))
        let bypass = BypassStatus(netns: "web", inode: 7, state: .off, effective: false)
        let cause = BypassEvent.Cause(by: .init(uid: 1000, gid: 1, pid: 1), owner: "me", reason: "it\nworks")
        func line(_ name: BypassEvent.Name, _ event: BypassEvent) -> String {
            String(Watch.line(name, event, style, accounts: alice).dropFirst("1970-01-01T00:00:00Z  ".count))
        }
        #expect(
            line(.off, .init(sequence: 1, bypass: bypass, cause: cause))
                == "off  web  by alice (uid 1000)  for me: it\\nworks\n")
        #expect(
            line(.expired, .init(sequence: 1, bypass: bypass, cause: cause))
                == "expired  web  set by alice (uid 1000)  for me: it\\nworks\n")
        #expect(
            line(.repaired, .init(sequence: 1, bypass: bypass, damage: ["rule-missing", "guard-missing"]))
                == "repaired  web  after rule-missing, guard-missing\n")
        #expect(
            line(.off, .init(sequence: 1, bypass: bypass, removed: ["ip nat OUTPUT: -A OUTPUT -j RETURN", "a\nb"]))
                == "off  web  removed ip nat OUTPUT: -A OUTPUT -j RETURN, a\\nb\n")
    }

    @Test func `What is over, and clocks that were set back, give no negative times`() {
        let earlier = Timestamp(secondsSince1970: now.secondsSince1970 - 5)
        #expect(remaining(until: earlier, now: now) == "now")
        #expect(remaining(until: now, now: earlier) == "in 5s")
        #expect(elapsed(since: now, now: earlier) == "0s ago")
    }

    @Test func `Columns are aligned by what is seen`() {
        let table = TextTable(rows: [[Cell("A"), Cell("B"), Cell("C")], [Cell("ab\n", .green), Cell("é"), Cell("x")]])
        #expect(table.text(plain) == "A     B  C\nab\\n  é  x\n")
        #expect(table.text(colored) == "A     B  C\n\u{1B}[32mab\\n\u{1B}[0m  é  x\n")
    }

    private var bypass: BypassStatus {
        BypassStatus(
            netns: "web", inode: 4_026_532_281, state: .on, effective: true, direction: .both,
            since: Timestamp(secondsSince1970: now.secondsSince1970 - 7200),
            expiresAt: Timestamp(secondsSince1970: now.secondsSince1970 + 872), owner: "me\u{1B}[2J",
            setBy: .init(uid: 1000, gid: 100, pid: 4711),
            rules: [
                .init(family: "ip", table: "nat", chain: "OUTPUT", handle: 7, packets: 12, bytes: 720),
                .init(family: "ip6", table: "nat", chain: "OUTPUT", handle: 9, packets: 0, bytes: 0),
            ], warnings: [.init(code: "established-connections", message: "some\nstay")])
    }

    private let alice = Accounts { $0 == 1000 ? "alice" : nil }

    @Test func `A bypass is six lines, its state first, and warnings below`() {
        #expect(
            describe(bypass, changed: true, plain, accounts: alice) == """
                state:      on, since 2026-11-23T21:12:07Z (2h ago)
                effective:  yes
                namespace:  web (inode 4026532281)
                direction:  both
                expires:    2026-11-23T23:26:39Z (in 14m 32s)
                set by:     alice (uid 1000) for me\\u{1b}[2J
                warning: some\\nstay (established-connections)

                """)
        let rules = describe(bypass, changed: true, withRules: true, plain, accounts: alice)
        #expect(
            rules.contains(
                """

                rules:      ip nat OUTPUT handle 7: packets 12, bytes 720
                            ip6 nat OUTPUT handle 9: packets 0, bytes 0
                warning:
                """))
    }

    @Test(
        arguments: [
            (1000, "me", "why", "alice (uid 1000) for me: why"), (1000, nil, "why", "alice (uid 1000): why"),
            (7, nil, nil, "uid 7"), (nil, "me", nil, "unknown for me"),
        ] as [(UInt32?, String?, String?, String)])
    func `Who turned it on is an account's name`(uid: UInt32?, owner: String?, reason: String?, text: String) {
        var bypass = bypass
        bypass.setBy = uid.map { .init(uid: $0, gid: 1, pid: 1) }
        (bypass.owner, bypass.reason) = (owner, reason)
        #expect(describe(bypass, changed: nil, plain, accounts: alice).contains("\nset by:     \(text)\n"))
    }

    @Test func `A scope is shown where there is one`() throws {
        var bypass = bypass
        bypass.except = try ConnectionSet(ports: [PortRange(22)])
        #expect(describe(bypass, changed: nil, plain).contains("\ndirection:  both: all but port 22\n"))
        #expect(bypassTable([bypass], plain).contains("both: all but port 22  14m 32s"))
        #expect(
            Watch.line(.on, .init(sequence: 1, bypass: bypass), plain).contains("both: all but port 22  expires"))
    }

    @Test func `What has no effect, or no end, is said`() {
        var bypass = bypass
        (bypass.effective, bypass.expiresAt, bypass.state, bypass.since) = (false, nil, .degraded, nil)
        bypass.netns = "a b"
        let lines = describe(bypass, changed: nil, plain).split(separator: "\n")
        #expect(lines[0] == "state:      degraded")
        #expect(lines[1] == "effective:  no, some traffic still goes to the sidecar: see the warnings")
        #expect(lines[4] == "expires:    never: 'kmesh-bypassctl on 'a b' --for 15m' makes it expire")
    }

    @Test(
        arguments: [
            (.all, "yes", false), (.nothingToBypass, "nothing to bypass: is it the right namespace?", true),
            (.partial, "in part, some traffic still goes to the sidecar: see the warnings", true),
            (.ineffective, "no, some traffic still goes to the sidecar: see the warnings", true),
        ] as [(BypassStatus.Effect, String, Bool)])
    func `What a bypass does is said in a word, in yellow unless it is all that was asked for`(
        effect: BypassStatus.Effect, text: String, isYellow: Bool
    ) {
        var bypass = bypass
        (bypass.effect, bypass.effective) = (effect, effect.isEffective)
        #expect(describe(bypass, changed: nil, plain).contains("\neffective:  \(text)\n"))
        #expect(describe(bypass, changed: nil, colored).contains("\u{1B}[33m\(text)\u{1B}[0m\n") == isYellow)
    }

    @Test func `What is off has no effect to show`() {
        let off = BypassStatus(netns: "web", inode: 7, state: .off, effective: false)
        #expect(describe(off, changed: false, plain) == "state:      off (unchanged)\nnamespace:  web (inode 7)\n")
    }

    @Test func `A bypass that has expired is still told of`() {
        var off = BypassStatus(netns: "web", inode: 7, state: .off, effective: false)
        off.expired = .init(at: Timestamp(secondsSince1970: now.secondsSince1970 - 200), owner: "kubernetes:shop/web")
        #expect(
            describe(off, changed: nil, plain) == """
                state:      off
                namespace:  web (inode 7)
                expired:    \(off.expired!.at) (3m 20s ago), for kubernetes:shop/web

                """)
    }

    @Test func `The list is a table with warnings below`() throws {
        let list = try #require(try Bypassctl.parseAsRoot(["list"]) as? List)
        #expect(list.text(of: .init(bypasses: []), plain) == "no namespace is bypassed\n")
        var bypass = bypass
        bypass.reason = "INC-4711"
        #expect(
            list.text(of: .init(bypasses: [bypass]), plain) == """
                NETNS  STATE  DIRECTION  LEFT     OWNER        REASON
                web    on     both       14m 32s  me\\u{1b}[2J  INC-4711
                warning: web: some\\nstay (established-connections)

                """)
        #expect(
            bypassTable([bypass], isWide: true, plain, accounts: alice).hasPrefix(
                """
                NETNS  INODE       STATE  DIRECTION  SINCE                 LEFT     SET BY  OWNER        REASON
                web    4026532281  on     both       2026-11-23T21:12:07Z  14m 32s  alice   me\\u{1b}[2J  INC-4711

                """))
        #expect(
            try (Bypassctl.parseAsRoot(["list", "--names"]) as? List)?.text(of: .init(bypasses: [bypass]), plain)
                == "web\n")
    }

    @Test func `An equal warning of many namespaces is one line`() {
        let bypasses = (1...6).map { number in
            var bypass = bypass
            bypass.netns = "web-\(number)"
            if number == 2 { bypass.warnings.append(.init(code: "hbone", message: "it listens")) }
            return bypass
        }
        let warnings = bypassTable(bypasses, plain).split(separator: "\n").filter { $0.hasPrefix("warning: ") }
        #expect(
            warnings == [
                "warning: web-1, web-2, web-3 and 3 more: some\\nstay (established-connections)",
                "warning: web-2: it listens (hbone)",
            ])
        #expect(enumeration(of: ["a", "b"]) == "a and b")
        #expect(enumeration(of: ["a", "b", "c", "d"]) == "a, b, c and d")
    }

    @Test(arguments: [20, 40, 60, 80, 120, 200])
    func `The list fits the terminal, whatever the texts are made of`(width: Int) {
        var style = plain
        style.width = width
        var wide = bypass
        (wide.netns, wide.owner) = (
            String(repeating: "网络", count: 10), "e\u{301}quipe " + String(repeating: "é", count: 40)
        )
        (wide.reason, wide.warnings) = (String(repeating: "a reason ", count: 20), [])
        (wide.effect, wide.expiresAt) = (.nothingToBypass, nil)
        let lines = bypassTable([wide, wide], style).split(separator: "\n").map(String.init)
        #expect(lines.count == 3)
        for line in lines { #expect(line.columns <= width, "\(line.columns): \(line)") }
        if width < 120 { #expect(lines[1].contains("…")) }
        #expect(lines[1] == lines[2])
        #expect(bypassTable([wide], isWide: true, style).contains(wide.reason ?? "-"))
        let row = Namespaces.Row(netns: wide.netns, pid: 4711, program: "a-program", error: "permission-denied")
        for line in Namespaces.table([row], style).split(separator: "\n").map(String.init) {
            #expect(line.columns <= width, "\(line.columns): \(line)")
        }
    }

    @Test func `That an owner has no bypass does not say that there are none`() throws {
        let clear = try #require(try Bypassctl.parseAsRoot(["clear", "--owner", "alcie"]) as? Clear)
        #expect(clear.text(of: .init(cleared: [], failed: []), plain) == "no bypass has the owner \"alcie\"\n")
    }

    @Test(arguments: [("alice", 5, "alice"), ("alice", 4, "alic"), ("aé", 2, "a"), ("网络", 4, "网")])
    func `A text is cut to the bytes that the daemon takes, and no character is`(text: String, limit: Int, cut: String)
    {
        #expect(text.fitting(bytes: limit) == cut)
    }

    @Test(arguments: [
        ("web", 3), ("网络", 4), ("e\u{301}", 1), ("é", 1), ("👍", 2), ("👍🏽", 2), ("🇩🇪", 2), ("ｗｅｂ", 6), ("한", 2),
    ])
    func `Columns are counted as a terminal shows them`(text: String, columns: Int) {
        #expect(text.columns == columns)
    }

    @Test(arguments: [("网络x", 5, "网络x"), ("网络x", 4, "网…"), ("网络x", 3, "网…"), ("abc", 2, "a…"), ("abc", 0, "")])
    func `What is cut ends with an ellipsis and is not wider`(text: String, limit: Int, shown: String) {
        #expect(text.fitting(limit) == shown)
    }

    @Test func `The summary is a few lines, however many bypasses there are`() {
        let bypasses = (1...50).map { number in
            var bypass = bypass
            bypass.netns = "web-\(number)"
            if number > 1 { bypass.expiresAt = nil }
            if number > 48 { (bypass.effective, bypass.effect) = (false, .partial) }
            return bypass
        }
        let info = InfoMethod.Result(
            version: "1", kernel: "6.1", uptimeSeconds: 7501, bypassed: 50, matcher: .init(pin: "p", tag: "t"))
        #expect(
            summary(of: info, .init(bypasses: bypasses), plain) == """
                daemon:     kmesh-bypassd 1, up 2h 5m, kernel 6.1
                bypassed:   50 namespaces
                attention:  web-49 and web-50: some connections still go to the sidecar
                            web-2, web-3, web-4 and 46 more: never expires

                """)
        #expect(summary(of: info, .init(bypasses: [bypass]), plain).hasSuffix("\nattention:  none\n"))
    }
}
