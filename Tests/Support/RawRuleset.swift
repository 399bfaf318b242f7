package import MeshSandbox

/// A namespace's ruleset as the kernel's own messages, which no tool has a say in: for names that `nft` cannot write,
/// and for comparing bit by bit, handles and all.
package enum RawRuleset {
    /// Names that are to be found again: quotes, spaces, line ends, a terminal's escape, UTF-8, what is none, and the
    /// longest that there are.
    package static let names = [
        "b'a\"b'", "b'sp ace'", "b'new\\nline'", "b'\\x1b[31mred'", "'\\u00e9'.encode()", "b'bad\\xff\\xfe'",
        "b'\\xff' * 255", "b'x' * 255",
    ]

    /// Makes a table of family ip with a chain of the same name, as the Python expression `name` has it, from which
    /// every new TCP connection is redirected.
    package static func redirect(_ name: String, priority: Int) -> String {
        "batch(table(2, \(name)), chain(2, \(name), \(name), b'nat', 3, \(priority)), rule(2, \(name), \(name), REDIRECT))\n"
    }

    /// Makes tables that belong to a process, in the background, and prints its number when they are there.
    package static func owned(_ tables: String) -> String {
        "batch(\(tables))\n" + inBackground("    time.sleep(300)")
    }

    /// Executes the lines, which are indented, in a process that goes on, and prints its number.
    static func inBackground(_ lines: String) -> String {
        """
        child = os.fork()
        if child: print(child, flush=True)
        else:
            for stream in 0, 1, 2: os.close(stream)
        \(lines)

        """
    }

    /// Prints everything that nf_tables has.
    package static let listing = """
        for kind in 1, 4, 7, 10, 19, 23: dump(kind)

        """

    /// Functions that speak to nf_tables, in Python without a library.
    fileprivate static let library = """
        import os, socket, struct, time
        s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
        s.bind((0, 0))
        count = 0

        def attribute(kind, data):
            data = struct.pack('<HH', len(data) + 4, kind) + data
            return data + bytes(-len(data) % 4)

        def number(kind, value): return attribute(kind, struct.pack('>I', value & 0xffffffff))
        def nested(kind, *parts): return attribute(kind | 0x8000, b''.join(parts))
        def expression(name, *data): return nested(1, attribute(1, name + bytes(1)), nested(2, *data))

        def message(kind, flags, family, *parts):
            global count
            count += 1
            body = bytes([family, 0, 0, 0]) + b''.join(parts)
            return struct.pack('<IHHII', 16 + len(body), 0xa00 | kind, flags | 1, count, 0) + body

        def table(family, name, flags=0): return message(0, 0x400, family, attribute(1, name), number(2, flags))

        def chain(family, table, name, kind=None, hook=0, priority=0):
            base = nested(4, number(1, hook), number(2, priority)) + attribute(7, kind) if kind else b''
            return message(3, 0x400, family, attribute(1, table), attribute(3, name), base)

        def rule(family, table, chain, expressions):
            return message(6, 0xc00, family, attribute(1, table), attribute(2, chain), nested(4, expressions))

        REDIRECT = (expression(b'meta', number(1, 8), number(2, 16))
            + expression(b'cmp', number(1, 8), number(2, 0), nested(3, attribute(1, bytes([6])))) + expression(b'redir'))

        def batch(*messages):
            mark = lambda kind, flags: struct.pack('<IHHIIBBH', 20, kind, flags, 0, 0, 0, 0, 0x0a00)
            last = bytearray(messages[-1])
            last[6] |= 4  # NLM_F_ACK
            s.send(mark(16, 1) + b''.join(messages[:-1]) + last + mark(17, 1))
            answer = s.recv(65536)
            error = struct.unpack_from('<i', answer, 16)[0]
            if error: raise OSError(-error, os.strerror(-error))

        def dump(kind):
            s.send(message(kind, 0x300, 0))
            while True:
                answer, at = s.recv(65536), 0
                while at < len(answer):
                    length, type = struct.unpack_from('<IH', answer, at)
                    if type < 16: return
                    print(type, answer[at + 16], answer[at + 20:at + length].hex())
                    at += (length + 3) & ~3

        """
}

extension MeshSandbox {
    /// Runs a Python program in a namespace, behind `RawRuleset.library`, and returns what it prints.
    @discardableResult
    package func netlink(
        _ program: String, in netns: String, arguments: [String] = []
    ) async throws -> String {
        try await inside(netns, ["python3", "-"] + arguments, input: RawRuleset.library + program)
    }

    /// Runs a command in a namespace of any name.
    @discardableResult
    package func inside(_ netns: String, _ command: [String], input: String? = nil) async throws -> String {
        try await run(["nsenter", "--net=/run/netns/\(netns)", "--"] + command, in: .host, input: input)
    }

    /// Everything that is set in a namespace through which nothing flows, as the kernel has it, and as the tools print it.
    package func everything(in netns: String) async throws -> [String: [Substring]] {
        var found = ["nf_tables": try await netlink(RawRuleset.listing, in: netns)]
        for tool in ["iptables-legacy-save", "ip6tables-legacy-save", "iptables-save", "ip6tables-save"] {
            // What iptables does not understand it says in a comment.
            found[tool] = try await inside(netns, [tool])
        }
        found["nft"] = try await inside(netns, ["nft", "list", "ruleset"])
        return found.mapValues { $0.split(separator: "\n").filter { !$0.hasPrefix("# ") } }
    }
}
