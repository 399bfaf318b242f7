import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension KernelTests {
    /// Rules of other programs than a mesh, which a bypass keeps from taking effect: it says so.
    @Suite struct OtherNatTests {
        /// What Docker has in a container of a network of its own, word for word: the name server at 127.0.0.11.
        private static let docker = MeshRules.restore(
            "nat", ["DOCKER_OUTPUT", "DOCKER_POSTROUTING"],
            [
                "-A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT",
                "-A POSTROUTING -d 127.0.0.11/32 -j DOCKER_POSTROUTING",
                "-A DOCKER_OUTPUT -d 127.0.0.11/32 -p tcp -m tcp --dport 53 -j DNAT --to-destination 127.0.0.11:38161",
                "-A DOCKER_OUTPUT -d 127.0.0.11/32 -p udp -m udp --dport 53 -j DNAT --to-destination 127.0.0.11:58092",
                "-A DOCKER_POSTROUTING -s 127.0.0.11/32 -p tcp -m tcp --sport 38161 -j SNAT --to-source :53",
                "-A DOCKER_POSTROUTING -s 127.0.0.11/32 -p udp -m udp --sport 58092 -j SNAT --to-source :53",
            ])

        private static func named(_ answer: BypassAnswer, _ chain: String, _ rule: String) -> Bool {
            answer.warnings.contains {
                $0.code == "other-nat" && $0.message.contains(chain) && $0.message.contains(rule)
            }
        }

        /// Servers where Docker's rules lead, and who answers at port 53 of 127.0.0.11, by UDP and by TCP.
        private static let nameServer = """
            import socket, threading
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind(('127.0.0.11', 58092))
            tcp = socket.socket(); tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tcp.bind(('127.0.0.11', 38161)); tcp.listen()
            threading.Thread(target=lambda: udp.sendto(b'docker', udp.recvfrom(9)[1]), daemon=True).start()
            threading.Thread(target=lambda: tcp.accept()[0].send(b'docker'), daemon=True).start()
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                client = socket.socket(socket.AF_INET, kind); client.settimeout(2)
                try:
                    client.connect(('127.0.0.11', 53))
                    if kind == socket.SOCK_DGRAM: client.send(b'?')
                    print(client.recv(9).decode())
                except OSError:
                    print('nobody')
            """

        private static func answers(_ rig: Rig) async throws -> [Substring] {
            try await rig.sandbox.run(["python3", "-c", nameServer], in: .pod).split(separator: "\n")
        }

        @Test(arguments: ["iptables-nft-restore", "iptables-legacy-restore"])
        func dockersNameServerGoesOnWorking(_ tool: String) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.run([tool, "--noflush"], in: .pod, input: Self.docker)
                #expect(try await Self.answers(rig) == ["docker", "docker"])
                let alone = try await rig.on(direction: "outbound")
                #expect(alone.effective && alone.codes == ["no-interception"], "\(alone.warnings)")
                #expect(try await Self.answers(rig) == ["docker", "docker"])
                try await rig.sandbox.install(.iptables)
                let on = try await rig.on()
                #expect(on.effective && on.codes == [], "\(on.warnings)")
                #expect(try await Self.answers(rig) == ["docker", "docker"])
                #expect(try await rig.sandbox.paths == .app)
                // It is what was asked for, and stays so with another daemon.
                let again = try await rig.on()
                #expect(again.changed == false && again.except == .null, "\(again)")
                try rig.daemon.kill(9)
                _ = try await rig.daemon.exit()
                try await rig.start()
                let recovered = try await rig.on()
                #expect(recovered.changed == false && recovered.except == .null, "\(recovered)")
                #expect(try await Self.answers(rig) == ["docker", "docker"])
                try await rig.off()
                #expect(try await Self.answers(rig) == ["docker", "docker"])
                #expect(try await rig.sandbox.paths == .sidecar)
            }
        }

        /// With exceptions of the caller's there is no room for it; and what is in no scope is no matter.
        @Test func dockersNameServerIsNamedWhereItStops() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.run(["iptables-nft-restore", "--noflush"], in: .pod, input: Self.docker)
                let on = try await rig.on(except: ["ports": [9999]])
                #expect(on.codes == ["no-interception", "other-nat", "other-nat"])
                for (transport, port) in [("tcp", 38161), ("udp", 58092)] {
                    let rule = "-d 127.0.0.11 -p \(transport) --dport 53 -j DNAT --to-destination 127.0.0.11:\(port)"
                    #expect(Self.named(on, "ip nat DOCKER_OUTPUT", rule), "\(on.warnings)")
                }
                #expect(try await Self.answers(rig) == ["nobody", "nobody"])
                #expect(try await rig.on(direction: "inbound").codes == ["no-interception"])
                #expect(try await rig.on(except: ["networks": ["127.0.0.11"]]).codes == ["no-interception"])
                #expect(try await rig.on(only: ["ports": [8080]]).codes == ["no-interception"])
                #expect(try await rig.off().codes == [])
            }
        }

        /// A mesh's own capture of DNS is bypassed beside it, and is not another program's. When it takes Docker's queries, too,
        /// those are bypassed.
        @Test func aMeshsCaptureIsBypassed() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.sandbox.captureDNS()
                #expect(try await rig.on().codes == [])
                try await rig.sandbox.run(["iptables-nft-restore", "--noflush"], in: .pod, input: Self.docker)
                let beside = try await rig.on()
                #expect(beside.effective && beside.codes == [], "\(beside.warnings)")
                #expect(try await rig.sandbox.paths == .app)

                let capture = "-I OUTPUT 1 -d 127.0.0.11/32 -p udp --dport 53 -j REDIRECT --to-ports 15053"
                try await rig.sandbox.iptables(capture)
                try await eventually("Docker's queries are bypassed", within: .seconds(10)) {
                    try await rig.status().codes == ["other-nat", "other-nat"]
                }
                try await rig.sandbox.iptables(capture.replacing("-I OUTPUT 1", with: "-D OUTPUT"))
                try await eventually("they are Docker's again", within: .seconds(10)) {
                    try await rig.status().codes == []
                }
            }
        }

        /// What goes on to a virtual machine, as KubeVirt has it, and a published port of Docker's.
        @Test func whatGoesOnToAnotherAddressIsNamed() async throws {
            try await Rig.with { rig in
                let rules = [
                    "-A PREROUTING -i eth0 -j KUBEVIRT_PREINBOUND",
                    "-A KUBEVIRT_PREINBOUND -j DNAT --to-destination 10.0.2.2",
                    "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
                    "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80",
                ]
                try await rig.sandbox.run(
                    ["iptables-nft-restore", "--noflush"], in: .pod,
                    input: MeshRules.restore("nat", ["KUBEVIRT_PREINBOUND", "DOCKER"], rules))
                let on = try await rig.on()
                #expect(on.codes == ["other-nat", "other-nat"])
                #expect(Self.named(on, "ip nat KUBEVIRT_PREINBOUND", "-j DNAT --to-destination 10.0.2.2"))
                #expect(
                    Self.named(on, "ip nat DOCKER", "-p tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80"))
                // What comes in by eth0, and is forwarded, is outbound.
                #expect(try await rig.on(direction: "outbound").codes == [])
            }
        }

        /// To an address of the namespace's own: that may be a proxy.
        @Test func aRedirectByAddressIsNotNamed() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.iptables("-A OUTPUT -p tcp -j DNAT --to-destination 10.89.0.1:15001")
                try await rig.sandbox.iptables("-A OUTPUT -p udp -j DNAT --to-destination 127.0.0.1:15053")
                #expect(try await rig.on().codes == [])
            }
        }
    }
}
