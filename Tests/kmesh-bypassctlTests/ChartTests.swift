import ArgumentParser
import Linux
import MeshSandbox
import StrictJSON
import Testing

@testable import kmesh_bypassctl

/// The Helm chart in systemd/chart.
@Suite struct ChartTests {
    private static let root = String(#filePath.dropLast("/Tests/kmesh-bypassctlTests/ChartTests.swift".count))

    @Test func `The chart in systemd is the manifest's text`() throws {
        let folder = Self.root + "/systemd/chart"
        for (path, text) in Chart.files {
            if ProcessEnvironment["KMESH_UPDATE_DOCS"] == "1" {
                try Files.makeFolder(folder + "/templates", mode: 0o755)
                try Files.write(Array(text.utf8), to: "\(folder)/\(path)", mode: 0o644)
            }
            #expect(
                try Files.text("\(folder)/\(path)") == text,
                "write it again: KMESH_UPDATE_DOCS=1 swift test --filter ChartTests")
        }
        #expect(
            try Files.text(folder + "/alerts.yaml") == Files.text(folder + "/../monitoring/alerts.yaml"), "it is a link"
        )
    }

    @Test func `Helm finds the chart in order, and makes the plain manifest's objects of it, for every Kubernetes`()
        async throws
    {
        let python = Self.root + "/.build-helm/bin/python"
        try #require(Files.exists(python), "Helm is not installed: Tests/run.sh does that")
        let alerts = Self.root + "/systemd/monitoring/alerts.yaml"
        let cases: [(arguments: [String], values: String)] = [
            ([], "{}"),
            (["--no-admission-policy"], #"{"admissionPolicies": false}"#),
            (
                ["--daemon", "--node-selector", "a=1", "--gid", "1000000007"],
                #"{"daemon": {"enabled": true}, "nodeSelector": {"a": "1"}, "gid": 1000000007}"#
            ),
            (["--daemon", "--no-admission-policy"], #"{"daemon": {"enabled": true}, "admissionPolicies": false}"#),
            (["--monitoring", "--alerts", alerts], #"{"monitoring": {"enabled": true}}"#),
        ]
        var input = ""
        for (arguments, values) in cases {
            let command = try #require(
                try Bypassctl.parseAsRoot(["manifest", "--gid", "999"] + arguments) as? Manifest)
            let text = try JSONEncoding.text(of: try command.text())
            input += #"{"manifest": \#(text), "values": \#(values)}"# + "\n"
        }
        let lines = try await Command.run(
            ["env", python, Self.root + "/Tests/Chart/chart.py", Self.root + "/systemd/chart"], input: input
        ).split(separator: "\n")
        #expect(lines.dropLast() == [])
        // Every object, for each version that there are schemas of, from 1.27 on.
        #expect(lines.last.flatMap { Int($0) } ?? 0 > 300)
    }
}
