import ControllerTestSupport
import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension ControllerTests {
    /// The commands of the user guide.
    @Suite struct KubectlTests {
        @Test("Labelled, inspected and unlabelled with kubectl")
        func guide() async throws {
            try await ControllerRig.with { it in
                try await it.start()
                #expect(
                    try await it.kubectl("label", "pod", "web", "kmesh.net/bypass=enabled") == "pod/web labeled\n")
                try await it.becomes(.app)
                try await it.says("on")
                let columns =
                    #"custom-columns=NAME:.metadata.name,BYPASS:.metadata.annotations.kmesh\.net/bypass-status"#
                let pods = try await it.kubectl("get", "pods", "-l", "kmesh.net/bypass=enabled", "-o", columns)
                #expect(pods == "NAME   BYPASS\nweb    on\n")
                try await it.hasEvent("BypassPermissiveMTLS")
                let events = try await it.kubectl("get", "events", "-o", "jsonpath={.items[*].reason}")
                #expect(events == "BypassEnabled BypassPermissiveMTLS")
                _ = try await it.kubectl("annotate", "pod", "web", "kmesh.net/bypass-direction=inbound")
                try await it.becomes(.bypassed("inbound"))
                #expect(try await it.kubectl("label", "pod", "web", "kmesh.net/bypass-") == "pod/web unlabeled\n")
                try await it.becomes(.sidecar)
                try await it.says(nil)
                _ = try await it.kubectl("label", "pod", "web", "kmesh.net/bypass=enabled")
                try await it.becomes(.bypassed("inbound"))
                _ = try await it.kubectl("delete", "pod", "web", "--wait=false")
                try await it.becomes(.sidecar)
            }
        }
    }
}
