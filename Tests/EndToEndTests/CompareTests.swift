import Linux
import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension EndToEndTests {
    /// `kmesh-bypassctl compare`: a sidecar that takes 5 milliseconds, and answers each fourth request with 503.
    @Suite struct CompareTests {
        /// server.py FOLDER NAME PORT DELAY EVERY: answers until the file FOLDER/stop is there.
        private static let server = """
            import http.server, os, socket, sys, threading, time
            folder, name, port, delay, every = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5])
            count = 0
            class Handler(http.server.BaseHTTPRequestHandler):
                def do_GET(self):
                    global count
                    count += 1
                    time.sleep(delay)
                    body = name.encode()
                    self.send_response(503 if every and count % every == 0 else 200)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                def log_message(self, *arguments): pass
            class Server(http.server.ThreadingHTTPServer):
                address_family = socket.AF_INET6
                daemon_threads = True
            server = Server(("::", port), Handler)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            open(folder + "/" + name, "w").close()
            deadline = time.monotonic() + 60
            while not os.path.exists(folder + "/stop") and time.monotonic() < deadline: time.sleep(0.02)
            """

        private static func serve(
            _ rig: Rig, _ name: String, _ port: Int, in place: MeshSandbox.Place, delay: Double, every: Int
        ) async throws {
            _ = try await rig.sandbox.run(
                ["python3", "-c", server, rig.folder.path, name, "\(port)", "\(delay)", "\(every)"], in: place)
        }

        /// Runs `body` with both servers, and the pod's connections to port 9090 redirected to one of them.
        private static func withServers(_ rig: Rig, _ body: () async throws -> Void) async throws {
            for command in ["iptables", "ip6tables"] {
                try await rig.sandbox.run(
                    [command]
                        + "-t nat -A OUTPUT -p tcp --dport 9090 -j REDIRECT --to-ports 15999".split(separator: " ")
                        .map(String.init), in: .pod)
            }
            async let app: Void = serve(rig, "application", 9090, in: .peer, delay: 0, every: 0)
            async let sidecar: Void = serve(rig, "proxy", 15999, in: .pod, delay: 0.005, every: 4)
            do {
                for name in ["application", "proxy"] {
                    try await eventually("\(name) answers") { Files.exists(rig.folder.path + "/" + name) }
                }
                try await body()
            } catch {
                Issue.record(error)
            }
            try Files.write([], to: rig.folder.path + "/stop")
            _ = try await (app, sidecar)
        }

        private static func compare(_ rig: Rig, _ words: [String]) async throws -> CommandResult {
            try await rig.sandbox.result(
                of: [rig.controlTool, "compare", rig.sandbox.pod, "--socket", rig.socket] + words)
        }

        @Test func itSaysWhatTheSidecarAddsAndWhatFailsOnlyThroughIt() async throws {
            try await Rig.with { rig in
                try await Self.withServers(rig) {
                    let before = try await rig.status().generation
                    let json = try await Self.compare(
                        rig, ["--to", "10.89.0.2:9090", "--http", "/", "--count", "40", "--json"])
                    let report = try #require(try JSONReader.read(json.output).object, "\(json)")
                    func number(_ object: String, _ name: String) -> Double? {
                        guard case .number(let value)? = report[object]?.object?[name] else { return nil }
                        return Double(value.text)
                    }
                    #expect(number("through", "failed") == 10 && number("past", "failed") == 0, "\(json.output)")
                    #expect(number("failures", "onlyThrough") == 10 && number("failures", "onlyPast") == 0)
                    #expect(try #require(number("failures", "probability")) < 0.05)
                    #expect(try #require(number("difference", "low")) > 1000, "\(json.output)")
                    #expect(number("difference", "pairs") == 30)
                    #expect(report["past"]?.object?["outcomes"] == ["200": 40])

                    let text = try await Self.compare(
                        rig, ["--to", "[fd89::2]:9090", "--http", "/", "--count", "20", "--host", "app"])
                    #expect(text.output.contains("The sidecar adds "), "\(text)")
                    #expect(text.output.contains("Failures: through the sidecar 503 in 5 of 20; past it 0 of 20."))

                    let after = try await rig.status()
                    #expect(after.state == "off" && after.generation != before)
                    #expect(try await rig.entries == 0)

                    let refused = try await Self.compare(rig, ["--to", "10.89.0.2:9", "--count", "6", "--json"])
                    #expect(refused.output.contains(#""past":{"outcomes":{"refused":6},"failed":6"#), "\(refused)")

                    try await rig.on(direction: "outbound")
                    let bypassed = try await Self.compare(rig, ["--to", "10.89.0.2:9090"])
                    #expect(bypassed.code == 1 && bypassed.errors.first?.contains("already") == true, "\(bypassed)")
                    try await rig.off()
                }
            }
        }

        @Test func withoutASidecarThereIsNothingToCompare() async throws {
            try await Rig.with { rig in
                let result = try await Self.compare(rig, ["--to", "10.89.0.2:8080"])
                #expect(result.code == 1 && result.errors.first?.contains("no sidecar") == true, "\(result)")
                #expect(try await rig.status().state == "off")
                for wrong in ["10.89.0.2", "fd89::2:80", "host:80", "10.89.0.2:0"] {
                    #expect(try await Self.compare(rig, ["--to", wrong]).code == 64, "\(wrong)")
                }
            }
        }
    }
}
