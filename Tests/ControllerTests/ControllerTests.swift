import ControllerTestSupport
import JSONRPC
import RootTestSupport
import Testbed
import Testing

/// The built controller against everything that it has to do with: a real daemon and real traffic, and an API server that
/// others could not tell from a real one, by what it asks.
@Suite(.serialized) enum ControllerTests {}

extension ControllerTests {
    @Suite struct LabelTests {
        @Test(
            "The label takes the sidecar out of the pod's traffic, and its end puts it back",
            arguments: PodGroup.Driver.allCases)
        func label(_ driver: PodGroup.Driver) async throws {
            try await ControllerRig.with(driver) { it in
                try await it.start()
                #expect(try await it.testbed.ways == .sidecar)
                for _ in 0..<3 {
                    it.server.label("web")
                    try await it.becomes(.app)
                    try await it.says("on")
                    #expect(try await it.rig.list().map(\.owner) == [it.owner])
                    it.server.label("web", nil)
                    try await it.becomes(.sidecar)
                    try await it.says(nil)
                    #expect(try await it.rig.list().isEmpty)
                }
                try await it.hasEvent("BypassEnabled")
                try await it.hasEvent("BypassDisabled")
            }
        }
    }
}
