import Linux
import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension ControllerTests {
    /// The main scenario against a third party's API server: our own may share a misunderstanding with the controller. Kmock has
    /// no faults and keeps no state, so those tests use our own server.
    @Suite struct KmockTests {
        private static let folder = String(#filePath.dropLast("/KmockTests.swift".count))
        private static let python = String(folder.dropLast("/Tests/ControllerTests".count)) + "/.build-kmock/bin/python"

        private func with(_ body: (ControllerRig) async throws -> Void) async throws {
            try await ControllerRig.with { it in
                guard Files.exists(Self.python) else {
                    throw UnmetExpectation(description: "kmock is not installed: Tests/run.sh does that")
                }
                // It ends with its standard input, which stays open here.
                let start = """
                    cd \(it.folder); mkfifo input
                    \(Self.python) \(Self.folder)/kmock_server.py <>input >port 2>log & echo $!
                    """
                let pid = try await it.sandbox.run(["sh", "-c", start], in: .host).filter(\.isNumber)
                try await scoped {
                    var port = ""
                    try await eventually("kmock listens", within: .seconds(20)) {
                        port = (try? Files.text(it.folder + "/port"))?.filter(\.isNumber) ?? ""
                        return !port.isEmpty
                    }
                    let kubeconfig = """
                        current-context: kmock
                        contexts: [{name: kmock, context: {cluster: kmock, namespace: default}}]
                        clusters: [{name: kmock, cluster: {server: "http://127.0.0.1:\(port)"}}]
                        """
                    try await it.start(kubeconfig: kubeconfig)
                    try await body(it)
                    await it.kill(15)
                } cleanUp: {
                    try await it.sandbox.run(["kill", pid], in: .host)
                }
            }
        }

        private func make(_ name: String, _ it: ControllerRig, uid: String, node: String = "node-a") async throws {
            let pod: JSONValue = [
                "apiVersion": "v1", "kind": "Pod",
                "metadata": ["name": .string(name), "namespace": "default", "uid": .string(uid), "labels": [:]],
                "spec": [
                    "nodeName": .string(node),
                    "containers": [["name": "app", "image": "a"], ["name": "istio-proxy", "image": "b"]],
                ],
                "status": ["phase": "Running", "podIP": "10.89.0.1", "podIPs": [["ip": "10.89.0.1"]]],
            ]
            _ = try await it.kubectl("create", "--validate=false", "-f", "-", input: JSONEncoding.text(of: pod))
        }

        private func status(_ it: ControllerRig) async throws -> String {
            try await it.kubectl(
                "get", "pod", "web", "-o", #"jsonpath={.metadata.annotations.kmesh\.net/bypass-status}"#)
        }

        @Test("Labelled, changed, unlabelled, labelled again, and deleted")
        func scenario() async throws {
            try await with { it in
                try await make("web", it, uid: it.uid)
                try await make("elsewhere", it, uid: "u-2", node: "node-b")
                _ = try await it.kubectl("label", "pod", "elsewhere", "kmesh.net/bypass=enabled")
                for _ in 0..<2 {
                    _ = try await it.kubectl("label", "pod", "web", "kmesh.net/bypass=enabled")
                    try await it.becomes(.app)
                    try await eventually("it says so: \(it.log)") { try await status(it) == "on" }
                    _ = try await it.kubectl("annotate", "pod", "web", "kmesh.net/bypass-direction=inbound")
                    try await it.becomes(.bypassed("inbound"))
                    _ = try await it.kubectl("annotate", "pod", "web", "kmesh.net/bypass-direction-")
                    try await it.becomes(.app)
                    _ = try await it.kubectl("label", "pod", "web", "kmesh.net/bypass-")
                    try await it.becomes(.sidecar)
                    try await eventually("it says so: \(it.log)") { try await status(it) == "" }
                }
                let events = try await it.kubectl("get", "events", "-o", "jsonpath={.items[*].reason}")
                #expect(events.contains("BypassEnabled") && events.contains("BypassDisabled"), "\(events)")
                #expect(try await it.rig.list().isEmpty)
                _ = try await it.kubectl("label", "pod", "web", "kmesh.net/bypass=enabled")
                try await it.becomes(.app)
                _ = try await it.kubectl("delete", "pod", "web", "--wait=false")
                try await it.becomes(.sidecar)
            }
        }

        @Test("When the bypass expires the label is removed")
        func time() async throws {
            try await with { it in
                try await make("web", it, uid: it.uid)
                _ = try await it.kubectl("annotate", "pod", "web", "kmesh.net/bypass-ttl=3s")
                _ = try await it.kubectl("label", "pod", "web", "kmesh.net/bypass=enabled")
                try await it.becomes(.app)
                try await it.becomes(.sidecar)
                try await eventually("it says so: \(it.log)") { try await status(it).hasPrefix("expired 20") }
                let labels = try await it.kubectl("get", "pod", "web", "-o", "jsonpath={.metadata.labels}")
                #expect(!labels.contains("bypass"))
            }
        }
    }
}
