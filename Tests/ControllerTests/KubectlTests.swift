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
                let unlabeled = try await it.kubectl("label", "pod", "web", "kmesh.net/bypass-")
                // Debian 12's kubectl is 1.20, which says the latter.
                #expect(["pod/web unlabeled\n", "pod/web labeled\n"].contains(unlabeled))
                try await it.becomes(.sidecar)
                try await it.says(nil)
                _ = try await it.kubectl("label", "pod", "web", "kmesh.net/bypass=enabled")
                try await it.becomes(.bypassed("inbound"))
                _ = try await it.kubectl("delete", "pod", "web", "--wait=false")
                try await it.becomes(.sidecar)
            }
        }

        @Test("kubectl bypass returns when the change has its effect, and shows what there is")
        func plugin() async throws {
            try await ControllerRig.with { it in
                try await it.start()
                let on = try await it.kubectlBypass("on", "web", "--for", "1h", "--reason", "INC-4711", "--wait")
                #expect(on.code == 0 && on.output.hasPrefix("default/web: on until 20"), "\(on)")
                #expect(try await it.sandbox.paths == .app)
                // The status of the first one does not answer the second.
                let inbound = try await it.kubectlBypass("on", "pod/web", "--direction", "inbound", "--wait")
                #expect(inbound.code == 0 && inbound.output == "default/web: on\n", "\(inbound)")
                #expect(try await it.sandbox.paths == .bypassed("inbound"))
                // Nor is it to the same again.
                let again = try await it.kubectlBypass("on", "pod/web", "--direction", "inbound", "--wait")
                #expect(again.code == 0 && again.output == "default/web: on\n", "\(again)")
                let list = try await it.kubectlBypass("list", "-A")
                #expect(list.output.contains("alice@example.org"), "\(list)")
                let off = try await it.kubectlBypass("off", "web", "--wait")
                #expect(off.code == 0 && off.output == "default/web: off\n", "\(off)")
                #expect(try await it.sandbox.paths == .sidecar)
                let status = try await it.kubectlBypass("status", "web")
                #expect(status.code == 0 && status.output.hasSuffix("status:  off\n"), "\(status)")
            }
        }
    }
}
