import Linux
import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension KernelTests {
    /// Whatever a namespace holds, the daemon stays small, and so do its answers.
    @Suite struct MemoryTests {
        private static let bound = 48 << 20
        private static let answerBound = 64 << 10

        /// 1,000 base chains at each of PREROUTING and OUTPUT, for IPv4 and IPv6: the kernel takes no more at a hook. Each
        /// redirects before the guard, and has a name of 250 bytes for which JSON has no shorter form than an escape.
        private static let chains = """
            for family in 2, 10:
                for hook in 0, 3:
                    for first in range(0, 1000, 50):
                        name = lambda n: bytes([1 + n % 8]) * 245 + b'%05d' % n
                        table_name = b'\\x02' * 248 + bytes([48 + hook])
                        parts = [table(family, table_name)]
                        for n in range(first, first + 50):
                            parts.append(chain(family, table_name, name(n), b'nat', hook, -150))
                            parts.append(rule(family, table_name, name(n), REDIRECT))
                        batch(*parts)

            """

        private static func check(_ rig: Rig, _ what: String) throws {
            guard Sanitizer.leavesMemoryAsItIs else { return }
            let peak = try rig.daemon.usage().peakMemory
            #expect(peak < bound, "\(what): \(peak >> 20) MiB")
        }

        @Test func fourThousandRedirectsAreCounted() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.withNamespace { netns in
                    try await rig.sandbox.netlink(Self.chains, in: netns)
                    for line in [
                        #"{"jsonrpc":"2.0","id":1,"method":"bypass","params":["\#(netns)","on"]}"#,
                        #"{"jsonrpc":"2.0","id":1,"method":"status","params":["\#(netns)"]}"#,
                        #"{"jsonrpc":"2.0","id":1,"method":"list"}"#,
                    ] {
                        let answer = try await rig.daemon.call(line)
                        #expect(answer.utf8.count < Self.answerBound)
                        #expect(answer.contains(#""code":"truncated""#) && answer.contains(#""effective":false"#))
                    }
                    let codes = try await rig.status(netns).codes
                    #expect(codes.count { $0 == "earlier-redirect" } <= 16)
                    #expect(codes.count { $0 == "truncated" } == 1)
                    try await rig.off(netns)
                    try Self.check(rig, "4,000 base chains")
                }
            }
        }

        /// Rules that look like the daemon's, rules of others, chains that only jump, and tables of iptables-legacy.
        @Test func rulesAreNotKept() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.withNamespace { netns in
                    var rules = "table ip nat { chain OUTPUT { type nat hook output priority -100; }\n"
                    rules += (0..<20_000).map { "chain c\($0) { return; }\n" }.joined() + "}\n"
                    rules += (0..<20_000).map { "add rule ip nat OUTPUT tcp dport \($0) jump c\($0)\n" }.joined()
                    try await rig.sandbox.inside(netns, ["nft", "-f", "-"], input: rules)
                    let rule = "-A OUTPUT -p tcp -m tcp --dport 9 -j RETURN\n"
                    let legacy = "*nat\n" + String(repeating: rule, count: 50_000) + "COMMIT\n"
                    for tool in ["iptables-legacy-restore", "ip6tables-legacy-restore"] {
                        try await rig.sandbox.inside(netns, [tool], input: legacy)
                    }
                    for _ in 0..<3 {
                        let on = try await rig.on(netns)
                        #expect(on.state == "on" && on.codes == ["no-interception"], "\(on)")
                        try await rig.off(netns)
                    }
                    try Self.check(rig, "rules")
                }
            }
        }

        /// 200 namespaces, each with 24 redirects before the guard that have long names; their files are `PREFIX-NUMBER`.
        private static let fleet = """
            import ctypes, sys
            libc = ctypes.CDLL(None, use_errno=True)
            for index in range(200):
                path = '/run/netns/%s-%d' % (sys.argv[1], index)
                open(path, 'w').close()
                assert libc.unshare(0x40000000) == 0
                assert libc.mount(b'/proc/thread-self/ns/net', path.encode(), None, 4096, None) == 0
                s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
                s.bind((0, 0))
                parts = [table(2, b'\\x02' * 250)]
                for n in range(24):
                    name = bytes([1 + n % 8]) * 245 + b'%05d' % n
                    parts += [chain(2, b'\\x02' * 250, name, b'nat', 3, -150), rule(2, b'\\x02' * 250, name, REDIRECT)]
                batch(*parts)

            """

        /// Each connection asks for what the daemon knows of all bypasses, and reads nothing but the beginning of it.
        private static let unread = """
            import socket, sys
            waiting = []
            for number in range(128):
                s = socket.socket(socket.AF_UNIX)
                s.connect(sys.argv[1])
                s.sendall(b'{"jsonrpc":"2.0","id":1,"method":"%s"}\\n' % sys.argv[2].encode())
                waiting.append(s)
                if number < 8: s.recv(1)
            for s in waiting: s.recv(1)
            """

        @Test func unreadAnswersAreBounded() async throws {
            try await Rig.with(["--max-user-connections", "200"]) { rig in
                let prefix = rig.sandbox.pod + "-fleet"
                try await scoped {
                    try await rig.sandbox.netlink(Self.fleet, in: rig.sandbox.pod, arguments: [prefix])
                    for number in 0..<200 { try await rig.on("\(prefix)-\(number)") }
                    for method in ["list", "subscribe"] {
                        try await rig.sandbox.run(["python3", "-c", Self.unread, rig.socket, method], in: .host)
                        try Self.check(rig, "128 unread answers to \(method)")
                    }
                    _ = try await rig.call("clear")
                } cleanUp: {
                    let remove = "for name in /run/netns/\(prefix)-*; do ip netns delete ${name##*/}; done"
                    try await rig.sandbox.run(["sh", "-c", remove], in: .host)
                }
            }
        }

        @Test func rulesThatLookLikeOursAreNotAllShown() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.withNamespace { netns in
                    try await rig.on(netns)
                    let match = "-A OUTPUT -m bpf --object-pinned \(rig.pin) -j RETURN\n"
                    // iptables opens the matcher for each of them, and may have 1024 descriptors.
                    let rules = "*nat\n" + String(repeating: match, count: 500) + "COMMIT\n"
                    for _ in 0..<10 {
                        try await rig.sandbox.inside(netns, ["iptables-restore", "--noflush"], input: rules)
                    }
                    let status = try await rig.daemon.call(
                        #"{"jsonrpc":"2.0","id":1,"method":"status","params":["\#(netns)"]}"#)
                    #expect(status.utf8.count < Self.answerBound)
                    #expect(try await rig.off(netns).state == "off")
                    try Self.check(rig, "rules like ours")
                }
            }
        }
    }
}
