import Testing

@testable import Netfilter

/// Where the packets come in that a rule is for, and whether it sets a mark: what decides about the direction of a redirect.
@Suite struct RuleMeaningTests {
    private static func interface(_ name: String, _ operation: UInt32 = 0, key: UInt32 = 6) -> [UInt8] {
        Reply.expression("meta", Reply.number(2, key), Reply.number(1, 1)) + equal(name, operation)
    }

    private static func equal(_ name: String, _ operation: UInt32 = 0) -> [UInt8] {
        let value = Reply.nested(3, Reply.attribute(1, Array(name.utf8) + [0]))
        return Reply.expression("cmp", Reply.number(1, 1), Reply.number(2, operation), value)
    }

    private static let tproxy = Reply.expression("tproxy", Reply.number(1, 2))
    private static let jump = Reply.verdict(-3, "a")
    private static let constant = Reply.expression("immediate", Reply.number(1, 1), Reply.nested(2, Reply.number(1, 1)))
    private static func set(_ name: String) -> [UInt8] {
        Reply.expression(name, Reply.number(2, 3), Reply.number(name == "meta" ? 3 : 4, 1))
    }
    private static func load(_ name: String) -> [UInt8] {
        Reply.expression(name, Reply.number(2, 3), Reply.number(1, 1))
    }

    private static let inputs: [(String, [[UInt8]], Redirect.Sources)] = [
        ("any", [tproxy], [.outside, .loopback]), ("-i lo", [interface("lo") + tproxy], .loopback),
        ("-i net1", [interface("net1") + tproxy], [.outside, .namedInterface]),
        ("! -i lo", [interface("lo", 1) + tproxy], [.outside, .loopback]),
        ("-i lon", [interface("lon") + tproxy], [.outside, .namedInterface]),
        ("both", [interface("lo") + tproxy, interface("net1") + tproxy], [.outside, .loopback, .namedInterface]),
        ("contradiction", [interface("lo") + jump], []),
    ]

    @Test("Where packets come in that a redirect takes is known, over jumps too", arguments: inputs)
    func input(_ name: String, _ rules: [[UInt8]], _ expected: Redirect.Sources) {
        var messages = rules.map { Reply.rule("PREROUTING", $0) }
        messages.append(Reply.rule("a", Self.interface("net1") + Self.tproxy))
        #expect(sources(messages) == (expected.isEmpty ? nil : expected))
        // The same behind a jump, and with the condition on the jump.
        let behind = rules.map { Reply.rule("b", $0) } + [Reply.rule("PREROUTING", Reply.verdict(-3, "b"))]
        if name != "contradiction" { #expect(sources(behind) == expected) }
        let jump = Reply.rule("PREROUTING", Self.interface("lo") + Reply.verdict(-4, "b"))
        let narrowed = expected.intersection(.loopback)
        #expect(sources([jump] + behind.dropLast()) == (narrowed.isEmpty ? nil : narrowed))
    }

    private func scan(_ messages: [[UInt8]]) -> RulesetScan {
        var scan = RulesetScan(
            for: .init(pin: "/sys/fs/bpf/bypass", table: (.inet, "kmesh_bypass"), chains: [] as [ChainName]))
        _ = Reply.read(messages.flatMap(\.self)) { message -> Int? in
            scan.add(message)
            return nil
        }
        scan.finish()
        return scan
    }

    private func sources(_ messages: [[UInt8]]) -> Redirect.Sources? {
        let base = ChainGraph.key("PREROUTING")
        return scan(messages).graph.bases([base], reaching: .transparentProxy)[base]
    }

    private static let targets: [(String, [UInt8], Bool)] = [
        ("meta mark set 1", constant + set("meta"), true), ("ct mark set 1", constant + set("ct"), true),
        ("meta mark set ct mark", load("ct") + set("meta"), false),
        ("oifname eth0 meta mark set 1", interface("eth0", key: 7) + constant + set("meta"), true),
        ("ct mark set meta mark", load("meta") + set("ct"), false),
        ("meta mark set meta mark or 1", load("meta") + set("meta"), true),
        ("ct mark 1 meta mark set 1", load("ct") + equal("x") + constant + set("meta"), true),
        ("xt MARK", target("MARK", [1, 0, 0, 0, 1, 0, 0, 0]), true),
        ("xt MARK 0", target("MARK", [0, 0, 0, 0, 1, 0, 0, 0]), false), ("xt MARK ?", target("MARK", []), true),
        ("xt CONNMARK set", target("CONNMARK", [1] + [UInt8](repeating: 0, count: 15)), true),
        ("xt CONNMARK restore", target("CONNMARK", [1] + [UInt8](repeating: 0, count: 11) + [2, 0, 0, 0]), false),
        ("another key", Reply.expression("meta", Reply.number(2, 8), Reply.number(3, 1)), false),
    ]

    private static func target(_ name: String, _ information: [UInt8]) -> [UInt8] {
        Reply.expression("target", Reply.text(1, name), Reply.number(2, 2), Reply.attribute(3, information))
    }

    @Test("A mark that is set is distinguished from one that is copied", arguments: targets)
    func mark(_ name: String, _ expressions: [UInt8], _ isSet: Bool) {
        let sources = scan([Reply.rule("OUTPUT", expressions)]).graph.chain("OUTPUT").effects.sources(of: .mark)
        #expect(sources.contains(.outside) == isSet)
    }

    /// A sidecar's own connections to its pod are marked so, and no application's.
    @Test("A mark for what leaves by lo is distinguished from others")
    func markOnLoopback() {
        for key in [UInt32(5), 7] {  // NFT_META_OIF, NFT_META_OIFNAME
            let name = key == 5 ? "\u{1}\0\0" : "lo"
            let rule = Self.interface(name, key: key) + Self.constant + Self.set("meta")
            #expect(scan([Reply.rule("OUTPUT", rule)]).graph.chain("OUTPUT").effects.sources(of: .mark) == .loopback)
        }
    }
}
