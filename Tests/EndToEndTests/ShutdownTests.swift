import MeshSandbox
import TestSupport
import Testing

extension EndToEndTests {
    /// SIGTERM while calls are in flight.
    @Suite struct ShutdownTests {
        /// Sends two hundred calls to each of two namespaces, ends the daemon after the first answers, and prints for
        /// each namespace how many lines came back before the end, and what the last one said.
        private static let client = """
            import json, os, signal, socket, sys
            pid, names = int(sys.argv[3]), sys.argv[4:]
            clients = []
            for name in names:
                s = socket.socket(socket.AF_UNIX)
                s.settimeout(20)
                s.connect(sys.argv[1])
                lines = [json.dumps({"jsonrpc": "2.0", "id": n, "method": "bypass",
                                     "params": [name, "off" if n % 2 else "on"]}) for n in range(200)]
                s.sendall(("\\n".join(lines) + "\\n").encode())
                clients.append((name, s.makefile("rb")))
            first = [file.readline() for _, file in clients]
            os.kill(pid, signal.SIGTERM)
            for (name, file), line in zip(clients, first):
                answers = [line] + file.readlines()
                assert all(line.endswith(b"\\n") for line in answers), "a line without its end"
                parsed = [json.loads(line) for line in answers]
                assert [answer["id"] for answer in parsed] == list(range(len(parsed))), "out of order"
                assert all("result" in answer for answer in parsed), parsed[-1]
                print(name, len(parsed), parsed[-1]["result"]["state"])
            """

        /// What was begun is answered, and what was not answered was not begun: the last answer is true.
        @Test func whatWasBegunIsAnsweredAndNothingElseIsDone() async throws {
            try await Rig.with { rig in
                let names = [rig.sandbox.pod, rig.sandbox.peer]
                var cutShort = false
                for _ in 1...4 {
                    let daemon = try rig.daemon
                    let printed = try await rig.python(Self.client, ["\(daemon.pid)"] + names)
                    #expect(try await daemon.exit() == .code(0), "\(daemon.standardError)")
                    try await rig.start()
                    for line in printed {
                        let words = line.split(separator: " ").map(String.init)
                        #expect(try await rig.status(words[0]).state == words[2], "\(line)")
                        if words[1] != "200" { cutShort = true }
                    }
                    #expect(printed.count == names.count)
                }
                #expect(cutShort, "the daemon has never been ended before it was done")
            }
        }

        /// A client that is connected and silent holds up no end.
        @Test func silentClientsDoNotHoldUpTheEnd() async throws {
            try await Rig.with { rig in
                let printed = try await rig.python(
                    """
                    import os, signal, socket, sys, time
                    held = []
                    for part in (b'', b'{"jsonrpc":', b'{"jsonrpc":"2.0","id":1,"method":"info"}\\n'):
                        s = socket.socket(socket.AF_UNIX)
                        s.settimeout(20)
                        s.connect(sys.argv[1])
                        s.sendall(part)
                        held.append(s)
                    assert held[2].makefile('rb').readline(), 'no answer'
                    begun = time.monotonic()
                    os.kill(int(sys.argv[3]), signal.SIGTERM)
                    for s in held: assert s.recv(1) == b'', 'no end'
                    print(time.monotonic() - begun < 1)
                    """, ["\(try rig.daemon.pid)"])
                #expect(printed == ["True"])
                #expect(try await rig.daemon.exit() == .code(0))
            }
        }
    }
}
