package import MeshSandbox

/// A virtual machine, or an inner container, behind the pod: the pod forwards what it sends.
package struct Guest: Sendable {
    /// The interface in the pod that it is behind.
    package static let interface = "net1"
    /// Its namespace: a name under /run/netns.
    private let name: String

    /// Makes a guest of the sandbox's pod, with a way to the peer and back, for the time that `body` runs.
    package static func with(_ sandbox: MeshSandbox, _ body: (Guest) async throws -> Void) async throws {
        let guest = Guest(name: sandbox.pod + "-vm")
        try await sandbox.run(["ip", "netns", "add", guest.name], in: .host)
        try await scoped {
            try await guest.connect(sandbox)
            try await body(guest)
        } cleanUp: {
            try await sandbox.run(["ip", "netns", "delete", guest.name], in: .host)
        }
    }

    private func connect(_ sandbox: MeshSandbox) async throws {
        let batch = ["ip", "-batch", "-"]
        try await sandbox.run(
            batch, in: .host,
            input: "link add \(Self.interface) netns \(sandbox.pod) type veth peer name eth0 netns \(name)\n")
        try await sandbox.run(
            batch, in: .pod,
            input: """
                link set \(Self.interface) up
                address add 10.90.0.1/24 dev \(Self.interface)
                address add fd90::1/64 dev \(Self.interface) nodad

                """)
        _ = try await Command.run(
            batch, namespace: name,
            input: """
                link set lo up
                link set eth0 up
                address add 10.90.0.2/24 dev eth0
                address add fd90::2/64 dev eth0 nodad
                route add default via 10.90.0.1
                route add default via fd90::1

                """)
        try await sandbox.run(
            batch, in: .peer, input: "route add 10.90.0.0/24 via 10.89.0.1\nroute add fd90::/64 via fd89::1\n")
        for setting in ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"] {
            try await sandbox.run(["sysctl", "-qw", setting], in: .pod)
        }
    }

    /// From the guest to the peer's app.
    package var probes: [Probe] {
        get throws { try MeshSandbox.Family.allCases.map { try Probe(from: name, $0, to: .peer) } }
    }

    /// Who answers what it sends to the peer, IPv4 and IPv6.
    package var answers: [MeshSandbox.Answer] {
        get async throws {
            var answers: [MeshSandbox.Answer] = []
            for probe in try probes { answers.append(try await Threads.run { try probe.ask() }) }
            return answers
        }
    }
}

extension MeshSandbox {
    /// Has what the guest sends redirected to the sidecar, in the words of Istio's `kube-virt-interfaces`.
    package func redirectGuest(_ mesh: Mesh) async throws {
        let interface = Guest.interface
        for tool in mesh.tools {
            try await iptables("-I PREROUTING 1 -i \(interface) -j RETURN", tool: tool)
            let any = tool.hasPrefix("ip6") ? "::/0" : "0.0.0.0/0"
            try await iptables("-I PREROUTING 1 -i \(interface) -d \(any) -p tcp -j ISTIO_REDIRECT", tool: tool)
        }
        if mesh == .nftables {
            let rule = ["iifname", interface, "meta", "l4proto", "tcp", "jump", "outbound-redirect"]
            try await run(["nft", "insert", "rule", "inet", MeshRules.table, "prerouting"] + rule, in: .pod)
        }
    }
}

extension MeshSandbox.Mesh {
    /// The commands that change its rules, IPv4 first.
    package var tools: [String] { restore.map { $0.command[0].replacing("-restore", with: "") } }
}
