import Linux
import MeshSandbox
import SystemPackage
import TestSupport
import Testing

extension KernelTests {
    /// A proxy that other proxies reach without a redirect.
    @Suite struct HBONETests {
        @Test(arguments: ["127.0.0.1", "10.89.0.1", "0.0.0.0", "::1", "fd89::1", "::"])
        func aListenerIsReportedByStatus(_ address: String) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.on()
                #expect(try await rig.status().codes == [])
                try await rig.sandbox.withListener(on: address, port: 15008) { _ in
                    let status = try await rig.status()
                    #expect(status.codes == ["hbone"] && status.effect == "all", "\(status.warnings)")
                    // Calls that change something, and lists, do not look.
                    #expect(try await rig.on(owner: "me").codes == [])
                    #expect(try await rig.list().map(\.codes) == [[]])
                    try await rig.on(direction: "outbound")
                    #expect(try await rig.status().codes == [])
                    try await rig.off()
                    #expect(try await rig.status().codes == [])
                    try await rig.on(direction: "inbound")
                    #expect(try await rig.status().codes == ["hbone"])
                }
                // The process that listened may end a moment later.
                try await eventually("it is no longer reported") { try await rig.status().codes == [] }
            }
        }

        @Test func aConnectionOrAnotherPortIsNone() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.on()
                try await rig.sandbox.withListener(on: "::", port: 15009) { _ in
                    let codes = try await rig.status().codes
                    #expect(codes == [])
                }
            }
        }

        /// What the kernel does not say is not taken for "none".
        @Test func listenersThatCannotBeReadAreReported() async throws {
            try await Rig.withoutDaemon { rig in
                let faults = try Faults(in: rig.folder.path)
                try await rig.start(environment: faults.environment)
                try await rig.sandbox.install(.iptables)
                try await rig.on()
                for call in ["ioctl SIOCGSKNS", "socket NETLINK_SOCK_DIAG", "send: reading listeners"] {
                    faults.plan.arm(.fail(.protocolNotSupported), at: call)
                    let status = try await rig.status()
                    faults.plan.disarm()
                    #expect(status.codes == ["hbone"] && status.effective, "\(call): \(status.warnings)")
                    #expect(status.warnings.first?.message.contains("cannot be read") == true)
                }
                // So ends a dump where the kernel has no module for a transport's sockets.
                for fault in [FaultInjection.Fault.breakOff(.noSuchFileOrDirectory), .interrupt] {
                    faults.plan.arm(fault, at: "reading listeners", times: .max)
                    let status = try await rig.status()
                    #expect(faults.plan.injected > 0)
                    faults.plan.disarm()
                    #expect(status.codes == ["hbone"], "\(fault): \(status.warnings)")
                }
                #expect(try await rig.status().codes == [])
            }
        }
    }
}
