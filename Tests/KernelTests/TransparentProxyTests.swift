import Linux
import MeshSandbox
import SystemPackage
import TestSupport
import Testing

extension KernelTests {
    /// Inbound traffic that the mesh takes by TPROXY.
    @Suite struct TransparentProxyTests {
        @Test(arguments: MeshSandbox.Mesh.redirecting)
        func inboundConnectionsReachTheApp(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with { rig in
                let sandbox = rig.sandbox
                try await sandbox.install(mesh)
                try await sandbox.installTPROXY(mesh)
                let before = try await sandbox.ruleset()
                #expect(try await sandbox.paths == .sidecar)
                let old = try await sandbox.connect(.inbound, .ipv4)
                for direction in ["both", "inbound"] {
                    let on = try await rig.on(direction: direction)
                    #expect(on.state == "on" && on.effective, "\(on.warnings)")
                    #expect(on.codes.allSatisfy { $0 == "established-connections" }, "\(on.warnings)")
                    #expect(try await sandbox.paths == .bypassed(direction))
                    #expect(try await rig.status().effective)
                }
                // What was established stays where it is.
                #expect(try await old.ask() == .sidecar)
                old.close()

                let outbound = try await rig.on(direction: "outbound")
                #expect(outbound.effective)
                #expect(try await sandbox.paths == .bypassed("outbound"))
                try await rig.off()
                #expect(try await sandbox.paths == .sidecar)
                #expect(try await sandbox.ruleset() == before)
            }
        }

        @Test(arguments: MeshSandbox.Mesh.redirecting)
        func aMeshThatComesLaterIsBypassedWithinSeconds(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with { rig in
                try await rig.on()
                try await rig.sandbox.installTPROXY(mesh)
                try await eventually("new connections reach the app", within: .seconds(10)) {
                    try await rig.sandbox.paths == .app
                }
                let status = try await rig.status()
                #expect(status.state == "on" && status.effective && status.codes == [])
                try await rig.off()
                #expect(try await rig.sandbox.paths == Paths(inbound: .sidecar, outbound: .app))
            }
        }

        /// With one of the two gone no connection reaches the pod: the next check, here a minute later, is not waited for. When
        /// it goes again, before the next repair is due, the other one is taken away: the mesh is better than nothing.
        @Test(arguments: ["mask", "unmask"])
        func aChainThatGoesMissingDoesNoHarmUntilTheNextCheck(_ chain: String) async throws {
            try await Rig.with(["--check-interval", "60"]) { rig in
                let sandbox = rig.sandbox
                try await sandbox.install(.iptables)
                try await sandbox.installTPROXY()
                let on = try await rig.on()
                let chains = { try await sandbox.run(["nft", "list", "table", "inet", "kmesh_bypass"], in: .pod) }
                let delete = ["nft", "delete", "chain", "inet", "kmesh_bypass", chain]
                try await sandbox.run(delete, in: .pod)
                try await eventually("it is repaired", within: .seconds(5)) {
                    let chains = try await chains()
                    return chains.contains("chain mask") && chains.contains("chain unmask")
                }
                #expect(try await sandbox.paths == .app)
                #expect(try await rig.status().rules.count == on.rules.count)

                try await sandbox.run(delete, in: .pod)
                try await eventually("the other one is gone", within: .seconds(5)) {
                    try await !chains().contains("mask")
                }
                #expect(try await sandbox.paths == Paths(inbound: .sidecar, outbound: .app))
                let status = try await rig.status()
                #expect(status.state == "degraded" && !status.effective && status.codes.contains("guard-missing"))
                // The caller does not have to wait for the repair.
                #expect(try await rig.on().effective)
                #expect(try await sandbox.paths == .app)
            }
        }

        /// Without `fib` there is no mask: everything else of the bypass is there, and the answer says what is missing.
        @Test func withoutFibTheRestIsBypassed() async throws {
            try await Rig.withoutDaemon(["--check-interval", "1"]) { rig in
                let faults = try Faults(in: rig.folder.path)
                faults.plan.arm(.fail(.noSuchFileOrDirectory), at: "nft_fib_inet", times: .max)
                try await rig.start(environment: faults.environment)
                let sandbox = rig.sandbox
                try await sandbox.install(.iptables)
                try await sandbox.installTPROXY()
                let before = try await sandbox.ruleset()
                let subscriber = try await rig.subscribe()
                for _ in 0..<2 {
                    let on = try await rig.on()
                    #expect(on.state == "on" && !on.effective, "\(on)")
                    #expect(on.codes.contains("tproxy"), "\(on)")
                    #expect(on.warnings.contains { $0.message.contains("nft_fib_inet") }, "\(on)")
                    #expect(try await sandbox.paths == Paths(inbound: .sidecar, outbound: .app))
                }
                // It is not repaired again and again.
                try await rig.on(sandbox.peer)
                let status = try await rig.status()
                #expect(status.state == "on" && !status.effective && status.codes.contains("tproxy"), "\(status)")
                try await rig.off(sandbox.peer)
                try await rig.off()
                #expect(try await sandbox.ruleset() == before)
                var names: [String] = []
                while names.last != "off" || !names.dropLast().contains("off") {
                    names.append(try await subscriber.next().name)
                }
                #expect(!names.contains("degraded") && !names.contains("repaired"), "\(names)")

                // As soon as the kernel has it, the next `on` masks. The rules are prepared at the start.
                faults.plan.disarm()
                #expect(try await rig.daemon.terminate() == .code(0))
                try await rig.start()
                #expect(try await rig.on().effective)
                #expect(try await sandbox.paths == .app)
            }
        }

        /// A flow is not a connection to UDP: all of its packets reach the app, before and after the first answer.
        @Test(arguments: ["iptables-nft", "iptables-legacy"])
        func udpMovesAsAWhole(_ tool: String) async throws {
            try await Rig.with { rig in
                let sandbox = rig.sandbox
                let rule = "-t mangle -A PREROUTING -p udp --dport 5300 -j TPROXY --on-port 15006 --tproxy-mark 0x539"
                try await sandbox.run([tool] + rule.split(separator: " ").map(String.init), in: .pod)
                #expect(try await Self.answeredDatagrams(sandbox) == 0)
                #expect(try await rig.on(direction: "inbound").effective)
                #expect(try await Self.answeredDatagrams(sandbox) == 5)
                try await rig.off()
                #expect(try await Self.answeredDatagrams(sandbox) == 0)
            }
        }

        /// The mask hides what TPROXY takes, and no more: it is made for more as soon as that is.
        @Test(arguments: ["iptables-nft", "iptables-legacy"])
        func whatTPROXYTakesLaterIsMasked(_ tool: String) async throws {
            try await Rig.with(["--check-interval", "1"]) { rig in
                let sandbox = rig.sandbox
                let rule = "-t mangle -A PREROUTING -p tcp --dport 1 -j TPROXY --on-port 15006 --tproxy-mark 0x539"
                try await sandbox.run([tool] + rule.split(separator: " ").map(String.init), in: .pod)
                #expect(try await rig.on().effective)
                try await sandbox.installTPROXY(tool == "iptables-nft" ? .iptables : .iptablesLegacy)
                try await eventually("IPv6 is masked, too", within: .seconds(5)) {
                    try await rig.status().effective
                }
                #expect(try await sandbox.paths == .app)
                let datagrams = "-t mangle -A PREROUTING -p udp --dport 5300 -j TPROXY --on-port 15006"
                try await sandbox.run([tool] + datagrams.split(separator: " ").map(String.init), in: .pod)
                try await eventually("UDP is masked, too", within: .seconds(5)) { try await rig.status().effective }
                #expect(try await Self.answeredDatagrams(sandbox) == 5)
                #expect(try await sandbox.paths == .app)

                // What it took once it may take again.
                let removed = datagrams.replacing("-A", with: "-D")
                try await sandbox.run([tool] + removed.split(separator: " ").map(String.init), in: .pod)
                let on = try await rig.on()
                #expect(on.changed == false && on.effective)
                try await sandbox.run([tool] + datagrams.split(separator: " ").map(String.init), in: .pod)
                #expect(try await rig.status().effective)
                #expect(try await Self.answeredDatagrams(sandbox) == 5)
                try await rig.off()
                #expect(try await sandbox.paths == Paths(inbound: .sidecar, outbound: .app))
                #expect(try await Self.answeredDatagrams(sandbox) == 0)
            }
        }

        /// Whatever conntrack is not to see: what TPROXY does not take arrives as it did before.
        @Test(arguments: ["iptables-nft", "iptables-legacy"])
        func untrackedDatagramsStillArrive(_ tool: String) async throws {
            try await Rig.with { rig in
                let sandbox = rig.sandbox
                for rule in [
                    "-t mangle -A PREROUTING -p udp --dport 5301 -j TPROXY --on-port 15006 --tproxy-mark 0x539",
                    "-t raw -A PREROUTING -p udp -j CT --notrack",
                ] {
                    try await sandbox.run([tool] + rule.split(separator: " ").map(String.init), in: .pod)
                }
                #expect(try await Self.answeredDatagrams(sandbox) == 5)
                try await rig.on(direction: "inbound")
                #expect(try await Self.answeredDatagrams(sandbox) == 5)
            }
        }

        /// How many of five datagrams of one socket to the pod are answered: its app answers all, its sidecar none.
        private static func answeredDatagrams(_ sandbox: MeshSandbox) async throws -> Int? {
            let servers = """
                import socket, subprocess, sys, threading
                sidecar = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                sidecar.setsockopt(socket.SOL_IP, 19, 1)  # IP_TRANSPARENT
                sidecar.bind(('0.0.0.0', 15006))
                app = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                app.bind(('0.0.0.0', 5300))
                def serve():
                    while True: app.sendto(*app.recvfrom(100))
                threading.Thread(target=serve, daemon=True).start()
                peer = ['nsenter', '--net=/run/netns/' + sys.argv[1], 'python3', '-c', sys.argv[3], sys.argv[2]]
                print(subprocess.run(peer, check=True, capture_output=True, text=True).stdout)
                """
            let client = """
                import socket, sys
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                s.settimeout(0.3)
                answers = 0
                for _ in range(5):
                    s.sendto(b'x', (sys.argv[1], 5300))
                    try: answers += len(s.recv(100))
                    except TimeoutError: pass
                print(answers)
                """
            let address = MeshSandbox.Family.ipv4.address(of: .pod)
            let output = try await sandbox.run(["python3", "-c", servers, sandbox.peer, address, client], in: .pod)
            return Int(output.filter(\.isNumber))
        }

        @Test func theDeadlineGivesConnectionsBackToTheSidecar() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.sandbox.installTPROXY()
                try await rig.on(ttl: 1)
                // In the kernel: no daemon has to be there.
                try rig.daemon.kill(9)
                _ = try await rig.daemon.exit()
                try await eventually("the sidecar answers") { try await rig.sandbox.paths == .sidecar }
                try await rig.start()
            }
        }

        @Test(arguments: [-160, -140])
        func atAnotherPriorityItIsReportedAndNotTouched(_ priority: Int) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.sandbox.installTPROXY(.nftables, priority: priority)
                for direction in ["both", "inbound"] {
                    let on = try await rig.on(direction: direction)
                    #expect(on.state == "on" && !on.effective && on.codes == ["tproxy"], "\(on.warnings)")
                    #expect(on.warnings.first?.message.contains("mesh_tproxy") == true)
                    #expect(try await rig.sandbox.whoAnswers(.inbound, .ipv4) == .sidecar)
                }
                #expect(try await rig.on(direction: "outbound").effective)
                try await rig.on()
                try await rig.sandbox.removeTPROXY(.nftables)
                #expect(try await rig.sandbox.paths == .app)
                let status = try await rig.status()
                #expect(status.effective && status.codes == [])
            }
        }
    }
}
