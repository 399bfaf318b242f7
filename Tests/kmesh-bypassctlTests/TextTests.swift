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
            Watch.line(.degraded, bypass, style) == """
                1970-01-01T00:00:00Z  degraded  we\\u{1b}b  inbound  expires in 15m  for me\\nand you
                warning: we\\u{1b}b: gone (rule-missing)

                """)
        bypass.warnings = []
        #expect(Watch.line(.gone, bypass, style) == "1970-01-01T00:00:00Z  gone  we\\u{1b}b\n")
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

    @Test func `A bypass is shown with its state first and warnings last`() {
        #expect(
            describe(bypass, changed: true, plain) == """
                state:      on
                effective:  yes
                namespace:  web (inode 4026532281)
                direction:  both
                since:      2026-11-23T21:12:07Z (2h ago)
                expires:    2026-11-23T23:26:39Z (in 14m 32s)
                owner:      me\\u{1b}[2J
                set by:     uid 1000, gid 100, pid 4711
                rules:      ip nat OUTPUT handle 7: packets 12, bytes 720
                            ip6 nat OUTPUT handle 9: packets 0, bytes 0
                warning: some\\nstay (established-connections)

                """)
    }

    @Test func `A scope is shown where there is one`() throws {
        var bypass = bypass
        bypass.except = try ConnectionSet(ports: [PortRange(22)])
        #expect(describe(bypass, changed: nil, plain).contains("\nscope:      all but port 22\nsince:"))
        #expect(bypassTable([bypass], plain).contains("both       all but port 22  2026"))
        #expect(Watch.line(.on, bypass, plain).contains("both  all but port 22  expires"))
    }

    @Test func `What has no effect is said next to the state`() {
        var bypass = bypass
        (bypass.effective, bypass.expiresAt, bypass.state) = (false, nil, .degraded)
        let lines = describe(bypass, changed: nil, plain).split(separator: "\n")
        #expect(lines[0] == "state:      degraded")
        #expect(lines[1] == "effective:  no, some traffic still goes to the sidecar: see the warnings")
        #expect(lines[5] == "expires:    never")
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

    @Test func `What is off has no effect to tell of`() {
        let off = BypassStatus(netns: "web", inode: 7, state: .off, effective: false)
        #expect(describe(off, changed: false, plain) == "state:      off (unchanged)\nnamespace:  web (inode 7)\n")
    }

    @Test func `The list is a table with warnings below`() throws {
        let list = try #require(try Bypassctl.parseAsRoot(["list"]) as? List)
        #expect(list.text(of: .init(bypasses: []), plain) == "no namespace is bypassed\n")
        #expect(
            list.text(of: .init(bypasses: [bypass]), plain) == """
                NETNS  INODE       STATE  EFFECTIVE  DIRECTION  SCOPE  SINCE                 EXPIRES     OWNER
                web    4026532281  on     yes        both       all    2026-11-23T21:12:07Z  in 14m 32s  me\\u{1b}[2J
                warning: web: some\\nstay (established-connections)

                """)
    }
}
