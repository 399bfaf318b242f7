import Linux
import MeshSandbox
import StrictJSON
import SystemPackage
import TestSupport
import Testing

extension KernelTests {
    /// What the daemon has counted.
    @Suite struct MetricsTests {
        private static func metrics(_ rig: Rig) async throws -> [Substring] {
            try await rig.call("metrics").object?["text"]?.string?.split(separator: "\n") ?? []
        }

        @Test func whatHappenedIsCounted() async throws {
            try await Rig.with(["--check-interval", "1"]) { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.on(ttl: 1)
                try await eventually("it is over") { try await rig.list() == [] }
                try await rig.on()
                try await rig.sandbox.run(["nft", "delete", "table", "inet", "kmesh_bypass"], in: .pod)
                try await eventually("it is repaired") {
                    try await Self.metrics(rig).contains("kmesh_bypass_repairs_total 1")
                }
                _ = try await rig.refusal("bypass", ["nowhere", "on"])
                _ = try await rig.refusal("no\"such\nmethod", [])
                _ = try await rig.refusal("status", [])
                try await rig.withUsers(operators: [], others: ["stranger"]) { users in
                    try await rig.openSocket()
                    let stranger = try #require(users["stranger"])
                    let line = #"{"jsonrpc":"2.0","id":1,"method":"list"}"#
                    _ = try await rig.lines(as: stranger, [line])
                }
                let lines = try await Self.metrics(rig)
                for line in [
                    #"kmesh_bypass_calls_total{method="bypass",result="ok"} 2"#,
                    #"kmesh_bypass_calls_total{method="bypass",result="netns-not-found"} 1"#,
                    #"kmesh_bypass_calls_total{method="unknown",result="method-not-found"} 1"#,
                    #"kmesh_bypass_calls_total{method="status",result="invalid-params"} 1"#,
                    #"kmesh_bypass_calls_total{method="list",result="permission-denied"} 1"#,
                    #"kmesh_bypass_call_duration_seconds_count{method="bypass"} 3"#,
                    "kmesh_bypass_bypassed_namespaces 1", "kmesh_bypass_expiries_total 1",
                    "kmesh_bypass_denials_total 1", "kmesh_bypass_connections 1",
                    "# TYPE kmesh_bypass_call_duration_seconds histogram",
                ] { #expect(lines.contains(line[...]), "\(line) is missing in \(lines.joined(separator: "\n"))") }
                #expect(!lines.contains { $0.contains("such") })
            }
        }

        /// `--version`, `info`, metrics and log: one version, with its commit.
        @Test func theVersionIsTheSameEverywhere() async throws {
            try await Rig.with { rig in
                let info = try await rig.call("info").object
                let version = try #require(info?["version"]?.string)
                let commit = info?["commit"]?.string ?? "unknown"
                let shown = "\(version) (commit \(commit))"
                let printed = try await rig.sandbox.result(of: [rig.executable, "--version"])
                #expect(printed == CommandResult(code: 0, output: "kmesh-bypassd \(shown)\n"))
                let series = #"kmesh_bypass_build_info{commit="\#(commit)",version="\#(version)"} 1"#
                #expect(try await Self.metrics(rig).contains(series[...]))
                let log = try rig.daemon.standardError
                #expect(log.contains(#"version="\#(shown)""#), "\(log)")
            }
        }

        /// What an alert needs: how many bypasses there are of each kind, since when, and until when.
        @Test func gaugesSayHowBypassesFare() async throws {
            try await Rig.with(Rig.unattended) { rig in
                func value(_ series: String) async throws -> String? {
                    try await Self.metrics(rig).first { $0.hasPrefix("kmesh_bypass_" + series + " ") }
                        .map { String($0.split(separator: " ")[1]) }
                }
                func kind(_ state: String, _ effect: String, _ ends: String) -> String {
                    #"namespaces{effect="\#(effect)",ends="\#(ends)",state="\#(state)"}"#
                }
                let never = #"oldest_start_time_seconds{ends="never"}"#
                let expires = #"oldest_start_time_seconds{ends="expires"}"#
                #expect(try await value(never) == "NaN")
                #expect(try await value("next_expiry_time_seconds") == "NaN")
                #expect(try await Self.metrics(rig).count { $0.hasPrefix("kmesh_bypass_namespaces{") } == 16)

                try await rig.on()
                #expect(try await value(kind("on", "nothing-to-bypass", "never")) == "1")
                try await rig.sandbox.install(.iptables)
                try await rig.on(ttl: 600)
                #expect(try await value(kind("on", "all", "expires")) == "1")
                #expect(try await value(kind("on", "nothing-to-bypass", "never")) == "0")
                #expect(try await value(never) == "NaN")
                let start = try #require(try await Int(value(expires) ?? ""))
                let end = try #require(try await Int(value("next_expiry_time_seconds") ?? ""))
                #expect(abs(start - Int(WallClock.now / 1_000_000_000)) < 60)
                #expect((599...601).contains(end - start))
                #expect(try await value("contested_namespaces") == "0")
                #expect(try await value("leftover_namespaces") == "0")
                try await rig.off()
                #expect(try await value(expires) == "NaN")
            }
        }

        @Test func aHistogramIsNotMostOfAllSeries() async throws {
            try await Rig.with { rig in
                for method in ["info", "list", "metrics"] { _ = try await rig.call(method) }
                try await rig.on()
                try await rig.off()
                let series = try await Self.metrics(rig).filter { !$0.hasPrefix("#") }
                let ofHistograms = series.count { $0.contains("call_duration") }
                #expect(ofHistograms > 0 && ofHistograms * 2 < series.count, "\(ofHistograms) of \(series.count)")
            }
        }

        @Test func whatTheKernelRefusedIsCountedByOperation() async throws {
            try await Rig.withoutDaemon(Rig.unattended) { rig in
                let faults = try Faults(in: rig.folder.path)
                try await rig.start(environment: faults.environment)
                // No other program is to run into the fault.
                try await rig.daemon.searchForLeftovers()
                faults.plan.arm(.fail(.noMemory), at: "setns")
                _ = try await rig.refusal("status", [.string(rig.sandbox.pod)])
                let lines = try await Self.metrics(rig)
                let line = #"kmesh_bypass_kernel_errors_total{errno="ENOMEM",operation="setns"} 1"#
                #expect(lines.contains(line[...]), "\(lines.filter { $0.contains("errno") })")
            }
        }

        @Test func whatTheKernelRefusedToTheSearchForLeftoversIsCountedToo() async throws {
            try await Rig.withoutDaemon(Rig.unattended) { rig in
                let faults = try Faults(in: rig.folder.path)
                faults.plan.arm(.fail(.noMemory), at: "setns", times: .max)
                try await rig.start(environment: faults.environment)
                try await rig.daemon.searchForLeftovers()
                let lines = try await Self.metrics(rig)
                let line = #"kmesh_bypass_kernel_errors_total{errno="ENOMEM",operation="setns"} "#
                #expect(lines.contains { $0.hasPrefix(line) })
            }
        }

        @Test func theyAreWrittenToAFileForACollector() async throws {
            try await Rig.withoutDaemon { rig in
                let file = rig.folder.path + "/bypass.prom"
                try await rig.start(["--metrics-file", file])
                try await eventually("the file is there") {
                    try await rig.sandbox.result(of: ["test", "-s", file]).code == 0
                }
                let text = try await rig.sandbox.run(["cat", file], in: .host)
                #expect(text.contains("kmesh_bypass_bypassed_namespaces 0\n"))
                #expect(try await rig.sandbox.run(["stat", "-c", "%a", file], in: .host) == "644\n")
                #expect(try await rig.daemon.terminate() == .code(0))
                #expect(try await rig.sandbox.result(of: ["test", "-e", file]).code != 0)
                try await rig.start(["--metrics-file", "/proc/none/bypass.prom"])
                try await eventually("it is complained about") {
                    try rig.daemon.standardError.contains("the metrics file cannot be written")
                }
            }
        }
    }
}
