import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension KernelTests {
    /// The scope of UDP, and of packets that a mesh sees seldom.
    @Suite struct ScopeDatagramTests {
        /// Port 5300 of pod and peer is an app's, the pod's port 15053 the sidecar's. Prints who answers, for each direction
        /// and family: a datagram of its own socket, in several fragments.
        private static let datagrams = """
            import ctypes, socket, sys, threading
            libc = ctypes.CDLL(None)
            def sock(place, family, *address):
                with open('/run/netns/' + sys.argv[place]) as f: assert libc.setns(f.fileno(), 0) == 0
                s = socket.socket(family, socket.SOCK_DGRAM)
                s.settimeout(0.4)
                if family == socket.AF_INET6: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                if address: s.bind(('::' if family == socket.AF_INET6 else '0.0.0.0', *address))
                return s
            def serve(s, name):
                s.settimeout(None)
                while True: s.sendto(name, s.recvfrom(65535)[1])
            out = []
            for family, pod, peer in (socket.AF_INET, '10.89.0.1', '10.89.0.2'), (socket.AF_INET6, 'fd89::1', 'fd89::2'):
                for place, port, name in (1, 5300, b'app'), (2, 5300, b'app'), (1, 15053, b'sidecar'):
                    s = sock(place, family, port)
                    threading.Thread(target=serve, args=(s, name), daemon=True).start()
                for place, target in (2, pod), (1, peer):
                    client = sock(place, family)
                    client.sendto(b'x' * 4000, (target, 5300))
                    try: out.append(client.recv(100).decode())
                    except TimeoutError: out.append('none')
            print(' '.join(out))
            """

        private static func answers(_ sandbox: MeshSandbox) async throws -> String {
            try await sandbox.run(["python3", "-c", datagrams, sandbox.pod, sandbox.peer], in: .host)
                .filter { $0 != "\n" }
        }

        private static let sidecar = "sidecar sidecar sidecar sidecar"
        private static let app = "app app app app"

        @Test(arguments: MeshSandbox.Mesh.redirecting)
        func datagramsToo(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with { rig in
                let sandbox = rig.sandbox
                let words = "-p udp --dport 5300 -j REDIRECT --to-ports 15053"
                for chain in ["PREROUTING", "OUTPUT"] {
                    switch mesh {
                    case .iptables, .tproxy:
                        for tool in ["iptables", "ip6tables"] {
                            try await sandbox.iptables("-A \(chain) \(words)", tool: tool)
                        }
                    case .iptablesLegacy:
                        for tool in ["iptables-legacy", "ip6tables-legacy"] {
                            try await sandbox.iptables("-A \(chain) \(words)", tool: tool)
                        }
                    case .nftables:
                        let rules = """
                            table inet dns { chain \(chain) { type nat hook \(chain.lowercased()) priority -100;
                            udp dport 5300 redirect to :15053; }; }
                            """
                        try await sandbox.run(["nft", "-f", "-"], in: .pod, input: rules)
                    }
                }
                #expect(try await Self.answers(sandbox) == Self.sidecar)
                try await rig.on(only: ["ports": [5300]])
                #expect(try await Self.answers(sandbox) == Self.app)
                try await rig.on(only: ["ports": ["1-5299", "5301-65535"]])
                #expect(try await Self.answers(sandbox) == Self.sidecar)
                try await rig.on(except: ["ports": [5300], "networks": ["10.89.0.2"]])
                #expect(try await Self.answers(sandbox) == "sidecar sidecar app app")
                try await rig.on(only: ["networks": ["10.89.0.0/24"]], except: ["ports": [5301]])
                #expect(try await Self.answers(sandbox) == "app app sidecar sidecar")
            }
        }

        /// The mask sees each datagram, answers too: those are of the port that the pod has asked.
        @Test func masksDatagramsInTheScopeOnly() async throws {
            try await Rig.with { rig in
                let sandbox = rig.sandbox
                for tool in ["iptables", "ip6tables"] {
                    let rule = "-t mangle -A PREROUTING -p udp -j TPROXY --on-port 15006 --tproxy-mark 0x539"
                    try await sandbox.run([tool] + rule.split(separator: " ").map(String.init), in: .pod)
                }
                // Nothing listens there: what the mesh takes is lost.
                let lost = "none none none none"
                #expect(try await Self.answers(sandbox) == lost)
                try await rig.on(only: ["ports": [5300]])
                #expect(try await Self.answers(sandbox) == Self.app)
                try await rig.on(only: ["ports": [5300], "networks": ["fd89::2"]])
                #expect(try await Self.answers(sandbox) == "none none app app")
                try await rig.on(except: ["ports": [5300]])
                #expect(try await Self.answers(sandbox) == lost)
                try await rig.on(only: ["ports": ["1-5299", "5301-65535"]])
                #expect(try await Self.answers(sandbox) == lost)
            }
        }
    }
}
