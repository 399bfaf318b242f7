package import MeshSandbox

/// What a pod's own root does to its ruleset, and to the daemon that reads it.
extension MeshSandbox {
    /// Fills `ip nat OUTPUT`, the chain that our rules head, with so many rules of no effect.
    package func fill(_ netns: String, rules count: Int) async throws {
        let rule = "ip daddr 192.0.2.1 tcp dport 1 counter accept\n"
        let rules = String(repeating: rule, count: count)
        try await inside(
            netns, ["nft", "-f", "-"],
            input: "table ip nat {\nchain OUTPUT {\ntype nat hook output priority -100\n\(rules)}\n}\n")
    }

    /// Changes the ruleset again and again for the time that `body` runs: a table comes, and goes.
    package func changing<Result>(
        _ netns: String, every interval: Duration, _ body: () async throws -> Result
    ) async throws -> Result {
        let seconds = Double(interval.components.attoseconds) / 1e18 + Double(interval.components.seconds)
        let pid = try await netlink(
            RawRuleset.inBackground(
                """
                    while True:
                        batch(table(2, b'coming'))
                        time.sleep(\(seconds))
                        batch(message(2, 0, 2, attribute(1, b'coming')))
                        time.sleep(\(seconds))
                """), in: netns)
        return try await scoped {
            try await body()
        } cleanUp: {
            try await run(["kill", pid.filter(\.isNumber)], in: .host)
        }
    }

    /// Has a table that belongs to a process (NFT_TABLE_F_OWNER), and what else the Python expressions make, for the time
    /// that `body` runs.
    package func owning(_ tables: String, in netns: String, _ body: () async throws -> Void) async throws {
        let pid = try await netlink(RawRuleset.owned(tables), in: netns).filter(\.isNumber)
        return try await scoped {
            try await body()
        } cleanUp: {
            try await run(["kill", pid], in: .host)
        }
    }

    /// For so many seconds, sends answers that the kernel did not give to every socket of nfnetlink in the namespace.
    ///
    /// - Returns: how many of them were taken, and how many were refused.
    package func spoof(in netns: String, seconds: Int) async throws -> (accepted: Int, refused: Int) {
        let output = try await netlink(
            """
            own = s.getsockname()[0]
            # NLMSG_ERROR with EPERM, NLMSG_DONE and NFT_MSG_NEWGEN, with the numbers of the first requests on a socket.
            spoofed = [struct.pack('<IHHIIi', 20, kind, 2, number, 0, value)
                for number in range(1, 9) for kind, value in ((2, -1), (3, 0), (0xa0f, 0))]
            accepted = refused = 0
            end = time.monotonic() + \(seconds)
            while time.monotonic() < end:
                with open('/proc/net/netlink') as table: sockets = [line.split() for line in table][1:]
                for port in {int(fields[2]) for fields in sockets if fields[1] == '12'} - {0, own}:
                    for message in spoofed:
                        try:
                            s.sendto(message, socket.MSG_DONTWAIT, (port, 0))
                            accepted += 1
                        except ConnectionRefusedError: refused += 1
                        except OSError: pass
            print(accepted, refused)

            """, in: netns)
        let counts = output.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
        guard counts.count == 2 else { throw UnmetExpectation(description: "no counts: \(output)") }
        return (counts[0], counts[1])
    }
}
