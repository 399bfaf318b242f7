import Glibc
import Linux
import MeshSandbox
import SystemPackage
import TestSupport
import Testing

extension KernelTests {
    /// What `explain` says of the process that gets a connection.
    @Suite struct ExplainProcessTests {
        /// The process becomes another user's, and its folder in proc, too, as after an exec.
        private static let otherUser = (
            before: "import ctypes, os; os.setuid(65534); ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)", after: ""
        )

        /// The sandbox's servers are this process's, which is not in the namespace: so are those of a node's proxy.
        @Test func theSidecarAndTheAppAreNamed() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let own = try Files.text("/proc/self/comm").filter { $0 != "\n" } + "[\(getpid())]"
                for isOn in [false, true] {
                    if isOn { try await rig.on() }
                    for family in MeshSandbox.Family.allCases {
                        let inbound = try await rig.explain(.inbound, family)
                        #expect(inbound.end == (isOn ? "application 8080" : "sidecar 15006"))
                        #expect(inbound.process == own && inbound.isListening == true, "on \(isOn): \(inbound)")
                        // What goes to another host ends there.
                        let outbound = try await rig.explain(.outbound, family)
                        #expect(outbound.process == (isOn ? nil : own), "on \(isOn): \(outbound)")
                        #expect(outbound.isListening == (isOn ? nil : true), "on \(isOn): \(outbound)")
                    }
                }
            }
        }

        /// Under the unit's capabilities, and with none of them that is not in the unit.
        @Test func aProcessOfAnotherUserIsFound() async throws {
            try await Rig.with { rig in
                for (transport, port) in [("tcp", 9000), ("udp", 9001)] {
                    try await rig.sandbox.withListener(
                        on: "0.0.0.0", port: port, transport, preparation: Self.otherUser
                    ) { pid in
                        for to in ["10.89.0.1:\(port)", "127.0.0.1:\(port)"] {
                            let probe = try await rig.explain(to: to, protocol: transport).probes[0]
                            #expect(probe.isListening == true && probe.process == "python3[\(pid)]", "\(probe)")
                        }
                        let other = transport == "tcp" ? "udp" : "tcp"
                        let none = try await rig.explain(to: "10.89.0.1:\(port)", protocol: other).probes[0]
                        #expect(none.isListening == false && none.process == nil, "\(none)")
                    }
                }
            }
        }

        @Test func withoutTheCapabilityTheProcessIsNotKnown() async throws {
            try await Rig.withoutDaemon { rig in
                try await rig.start(launcher: UnitCapabilities.launcher(without: "dac_read_search"))
                try await rig.sandbox.withListener(on: "0.0.0.0", port: 9000, preparation: Self.otherUser) { _ in
                    let probe = try await rig.explain(to: "10.89.0.1:9000").probes[0]
                    #expect(probe.end == "application 9000" && probe.isListening == true, "\(probe)")
                    #expect(probe.process == nil, "\(probe)")
                }
            }
        }

        /// A server that listens at one address only gets nothing that is sent to another: a mesh's proxy may reach it all
        /// the same.
        @Test(
            arguments: [
                ("127.0.0.1", false, ["127.0.0.1:9000"]), ("10.89.0.1", false, ["10.89.0.1:9000"]),
                ("fd89::1", false, ["[fd89::1]:9000"]), ("::", true, ["[fd89::1]:9000", "[::1]:9000"]),
                ("::", false, ["[fd89::1]:9000", "[::1]:9000", "127.0.0.1:9000", "10.89.0.1:9000"]),
                ("::ffff:10.89.0.1", false, ["10.89.0.1:9000"]),
            ])
        func aListenerGetsWhatIsSentToItsAddress(_ address: String, _ isIPv6Only: Bool, _ places: [String]) async throws
        {
            try await Rig.with { rig in
                let only = isIPv6Only ? "s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)" : ""
                try await rig.sandbox.withListener(on: address, port: 9000, preparation: ("", only)) { pid in
                    for place in ["127.0.0.1:9000", "10.89.0.1:9000", "[::1]:9000", "[fd89::1]:9000"] {
                        let probe = try await rig.explain(to: place).probes[0]
                        let isTaken = places.contains(place)
                        #expect(probe.isListening == isTaken, "\(place): \(probe)")
                        #expect(probe.process == (isTaken ? "python3[\(pid)]" : nil), "\(place): \(probe)")
                    }
                }
            }
        }

        @Test func aProcesssNameIsOnlyText() async throws {
            try await Rig.with { rig in
                let name = #"""
                    import ctypes
                    ctypes.CDLL(None).prctl(15, b'\x1b[2J\n"\xff]', 0, 0, 0)
                    """#
                try await rig.sandbox.withListener(on: "0.0.0.0", port: 9000, preparation: (name, "")) { pid in
                    let probe = try await rig.explain(to: "10.89.0.1:9000").probes[0]
                    let shown = #"\u{1b}[2J\n""# + "\u{fffd}][\(pid)]"
                    #expect(probe.process == shown, "\(probe)")
                }
            }
        }

        /// So many descriptors are looked at, and processes that come and go do not matter.
        @Test func aPodCannotMakeItCostly() async throws {
            try await Rig.with { rig in
                let many = """
                    import os, resource
                    resource.setrlimit(resource.RLIMIT_NOFILE, (5000, 5000))
                    for _ in range(4200): os.dup(0)
                    """
                try await rig.sandbox.withListener(on: "0.0.0.0", port: 9000, preparation: (many, "")) { _ in
                    let probe = try await rig.explain(to: "10.89.0.1:9000").probes[0]
                    #expect(probe.isListening == true && probe.process == nil, "\(probe)")
                }
                let storm = """
                    import os
                    if os.fork() == 0:
                        parent = os.getppid()
                        while os.getppid() == parent:
                            if os.fork() == 0: os._exit(0)
                            os.wait()
                        os._exit(0)
                    """
                try await rig.sandbox.withListener(on: "0.0.0.0", port: 9001, preparation: (storm, "")) { pid in
                    for _ in 1...20 {
                        let probe = try await rig.explain(to: "10.89.0.1:9001").probes[0]
                        #expect(probe.process == "python3[\(pid)]", "\(probe)")
                    }
                }
            }
        }

        /// What the kernel does not say is not taken for "nothing".
        @Test func whatCannotBeReadIsNotKnown() async throws {
            try await Rig.withoutDaemon { rig in
                let faults = try Faults(in: rig.folder.path)
                try await rig.start(environment: faults.environment)
                for call in ["socket NETLINK_SOCK_DIAG", "send: reading listeners", "recvmmsg: reading listeners"] {
                    faults.plan.arm(.fail(.protocolNotSupported), at: call)
                    let probe = try await rig.explain(.inbound, .ipv4)
                    #expect(faults.plan.injected == 1 && probe.end == "application 8080", "\(call): \(probe)")
                    #expect(probe.isListening == nil && probe.process == nil, "\(call): \(probe)")
                    faults.plan.disarm()
                }
            }
        }
    }
}
