import ControllerTestSupport
import Linux
import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension ControllerTests {
    /// The alert rules and the dashboard in systemd/monitoring, against promtool and the metrics of real programs.
    @Suite struct MonitoringTests {
        private static let root = String(#filePath.dropLast("/Tests/ControllerTests/MonitoringTests.swift".count))
        private static let folder = root + "/systemd/monitoring"

        /// What is wrong goes to standard output.
        private static func promtool(_ arguments: [String], _ rig: ControllerRig) async throws {
            try await rig.sandbox.run(["sh", "-c", #"promtool "$@" >&2"#, "sh"] + arguments, in: .host)
        }

        /// The queries of the dashboard's panels.
        private static func queries(in value: JSONValue) -> [String] {
            switch value {
            case .array(let elements): elements.flatMap(queries)
            case .object(let object):
                object.members.flatMap { member in
                    member.key == "expr" ? [member.value.string].compactMap(\.self) : queries(in: member.value)
                }
            default: []
            }
        }

        /// The metrics that a text names, without what a histogram's series have behind the name.
        private static func metrics(in text: String) -> Set<String> {
            let words = text.split { !$0.isLetter && !$0.isNumber && $0 != "_" }.filter {
                $0.hasPrefix("kmesh_bypass_")
            }
            return Set(
                words.map { word in
                    let suffix = ["_bucket", "_sum", "_count"].first { word.hasSuffix($0) }
                    return String(word.dropLast(suffix?.count ?? 0))
                })
        }

        @Test("The alerts fire when they should, and only then")
        func alerts() async throws {
            try await ControllerRig.with { it in
                try await Self.promtool(["check", "rules", Self.folder + "/alerts.yaml"], it)
                try await Self.promtool(["test", "rules", Self.root + "/Tests/Monitoring/alerts_test.yaml"], it)
            }
        }

        @Test("What the alerts, the dashboard and the documents ask for is what the programs have")
        func names() async throws {
            try await ControllerRig.with { it in
                // Nothing has happened yet: a counter that comes with its first event has no increase for Prometheus.
                try await it.start(["--enable-bypass=true", "--daemon-metrics"])
                let daemon = try #require(try await it.rig.call("metrics").object?["text"]?.string)
                // The controller's page has the daemon's, too.
                let page = try await it.probe("metrics").output
                let exposed = Self.metrics(in: page)
                #expect(Self.metrics(in: daemon).subtracting(exposed) == [])
                for series in [
                    #"kmesh_bypass_connections_ended_total{limit="user-connections"} 0"#,
                    #"kmesh_bypass_controller_daemon_calls_total{operation="on",result="ok"} 0"#,
                    #"kmesh_bypass_controller_status_updates_total{result="ok"} 0"#,
                    #"kmesh_bypass_controller_disconnections_total{from="daemon"} 0"#,
                ] {
                    #expect(page.contains(series + "\n"))
                }
                // What the kernel may refuse is known only once it has refused it.
                let known = exposed.union(["kmesh_bypass_kernel_errors_total"])
                for file in ["alerts.yaml", "dashboard.json"].map({ Self.folder + "/" + $0 })
                    + ["methods.md", "kubernetes.md", "monitoring.md"].map({ Self.root + "/proto-docs/" + $0 })
                {
                    // Of these names one is a table's.
                    let named = Self.metrics(in: try Files.text(file)).subtracting(["kmesh_bypass_trace"])
                    #expect(named.subtracting(known) == [], "\(file)")
                }
                let documented = Self.metrics(
                    in: try ["methods.md", "monitoring.md"].map { try Files.text(Self.root + "/proto-docs/" + $0) }
                        .joined())
                #expect(exposed.subtracting(documented) == [])

                let dashboard = try JSONReader.read(Array(Files.text(Self.folder + "/dashboard.json").utf8))
                let queries = Self.queries(in: dashboard)
                #expect(queries.count > 15)
                var rules = "groups:\n  - name: dashboard\n    rules:\n"
                for (index, query) in queries.enumerated() {
                    rules += "      - record: query\(index)\n        expr: '\(query)'\n"
                }
                let file = it.folder + "/queries.yaml"
                try Files.write(Array(rules.utf8), to: file)
                try await Self.promtool(["check", "rules", file], it)
            }
        }
    }
}
