import ControllerTestSupport
import JSONRPC
import RootTestSupport
import Testbed
import Testing

extension ControllerTests {
    /// What the user guide has people type.
    @Suite struct KubectlTests {
        private func kubectl(_ it: ControllerRig, _ words: String...) async throws -> String {
            // Discovery is kept in a folder that goes with the test.
            let options = ["--kubeconfig", it.folder + "/kubeconfig", "--cache-dir", it.folder + "/cache"]
            return try await it.testbed.run(["kubectl"] + options + words, in: .host)
        }

        @Test("Labelled, looked at, and unlabelled by kubectl")
        func guide() async throws {
            try await ControllerRig.with { it in
                try await it.start()
                #expect(
                    try await kubectl(it, "label", "pod", "web", "kmesh.net/bypass=enabled") == "pod/web labeled\n")
                try await it.becomes(.app)
                try await it.says("on")
                let columns =
                    #"custom-columns=NAME:.metadata.name,BYPASS:.metadata.annotations.kmesh\.net/bypass-status"#
                let pods = try await kubectl(it, "get", "pods", "-l", "kmesh.net/bypass=enabled", "-o", columns)
                #expect(pods == "NAME   BYPASS\nweb    on\n")
                try await it.hasEvent("BypassEnabled")
                let events = try await kubectl(it, "get", "events", "-o", "jsonpath={.items[*].reason}")
                #expect(events == "BypassEnabled")
                try await _ = kubectl(it, "annotate", "pod", "web", "kmesh.net/bypass-direction=inbound")
                try await it.becomes(.bypassed("inbound"))
                #expect(try await kubectl(it, "label", "pod", "web", "kmesh.net/bypass-") == "pod/web unlabeled\n")
                try await it.becomes(.sidecar)
                try await it.says(nil)
                _ = try await kubectl(it, "label", "pod", "web", "kmesh.net/bypass=enabled")
                try await it.becomes(.bypassed("inbound"))
                _ = try await kubectl(it, "delete", "pod", "web", "--wait=false")
                try await it.becomes(.sidecar)
            }
        }
    }
}
