import TestSupport
import Testing

extension EndToEndTests {
    /// What `compare` makes of servers that do not answer as they should.
    @Suite struct CompareWorkerTests {
        /// Makes one request of each kind of server, all at once, and prints the outcomes.
        private static let script = """
            import socket, struct, subprocess, sys, threading, time
            tool = sys.argv[3]
            OK = b"HTTP/1.1 200 OK\\r\\n"
            def drip(connection):
                connection.sendall(OK)
                while True:
                    connection.sendall(b"x")
                    time.sleep(0.3)
            def reset(connection):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
            def keep(answer):
                def send(connection):
                    connection.sendall(answer)
                    time.sleep(60)
                return send
            def close(answer): return lambda connection: connection.sendall(answer)
            SERVERS = {
                "drip": drip, "hang": lambda connection: time.sleep(60), "reset": reset, "silent": close(b""),
                "tls": close(b"\\x15\\x03\\x03\\x00\\x02\\x02\\x50"), "busy": close(b"HTTP/1.1 503 Busy\\r\\n\\r\\n"),
                "missing": close(b"HTTP/1.1 404 Not Found\\r\\nContent-Length: 0\\r\\n\\r\\n"),
                "short": close(OK + b"Content-Length: 9\\r\\n\\r\\nabc"),
                "chunks": keep(OK + b"Transfer-Encoding: chunked\\r\\n\\r\\n3\\r\\nabc\\r\\n0\\r\\n\\r\\n"),
                "cut": close(OK + b"Transfer-Encoding: chunked\\r\\n\\r\\n3\\r\\nabc\\r\\n"),
                "nothing": keep(b"HTTP/1.1 204 No Content\\r\\n\\r\\n"),
                "early": keep(b"HTTP/1.1 103 Early Hints\\r\\n\\r\\n" + OK + b"Content-Length: 0\\r\\n\\r\\n"),
                "endless": close(OK + b"\\r\\nuntil the end"),
            }
            def serve(listener, behave):
                connection, _ = listener.accept()
                connection.recv(4096)
                try: behave(connection)
                except OSError: pass
                connection.close()
            def listen(name):
                listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
                threading.Thread(target=serve, args=(listener, SERVERS[name]), daemon=True).start()
                return listener
            listeners = {name: listen(name) for name in SERVERS}
            places = {name: f"[::1]:{each.getsockname()[1]}" for name, each in listeners.items()}
            with socket.socket() as unused:
                unused.bind(("127.0.0.1", 0))
                places["refusal"] = f"127.0.0.1:{unused.getsockname()[1]}"
                workers = {
                    name: subprocess.Popen(
                        [tool, "compare-worker", "--to", place, "--http", "/"], stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE, text=True)
                    for name, place in places.items()
                }
                for name, worker in workers.items():
                    state, _, kind = worker.communicate("request\\n", timeout=18)[0].strip().split(" ", 2)
                    print(f"{name}: {state}, {kind}")
            """

        @Test func everyFailureHasItsName() async throws {
            try await Rig.withoutDaemon { rig in
                let outcomes = try await rig.python(Self.script, [rig.controlTool])
                #expect(
                    outcomes == [
                        "drip: failed, timed out", "hang: failed, timed out", "reset: failed, reset",
                        "silent: failed, closed without an answer", "tls: failed, no HTTP", "busy: failed, 503",
                        "missing: done, 404", "short: failed, 200, cut off", "chunks: done, 200",
                        "cut: failed, 200, cut off", "nothing: done, 204", "early: done, 200", "endless: done, 200",
                        "refusal: failed, refused",
                    ])
            }
        }
    }
}
