internal import Linux

/// What a mesh puts into a pod, as Tests/MeshRules has it, and what installs it there.
package struct MeshRuleSet: Sendable, CustomStringConvertible {
    package enum Backend: String, Sendable {
        case nft
        case iptablesNft = "iptables-nft"
        case iptablesLegacy = "iptables-legacy"
    }

    private let file: String
    let backend: Backend
    let text: String
    /// The user that the sidecar runs as.
    let sidecarUser: String
    /// The mark of its sockets, and of those by which it reaches the app with the client's address; 0 for none.
    let mark: String
    let clientMark: String
    /// Run in the pod for each family.
    let commands: [[String]]
    /// The port of the sidecar that answers, by the name of the probe without its family.
    package let takes: [String: String]
    /// Probes that a bypass leaves to the mesh.
    package let keeps: Set<String>

    package var description: String { "\(file) by \(backend.rawValue)" }

    /// Every rule set, for each backend that the mesh supports.
    package static let all: [MeshRuleSet] = [
        "istio-redirect-dns.rules", "istio-redirect-dns.nft", "istio-tproxy.rules", "istio-tproxy.nft",
        "istio-virtual-interfaces.rules", "istio-virtual-interfaces.nft", "istio-ambient.rules", "istio-ambient.nft",
        "linkerd.rules", "kuma.rules", "outbound-tproxy.rules",
    ].flatMap { file in
        guard let text = try? Files.text(folder + file) else { fatalError("cannot read \(folder + file)") }
        let header = Header(of: text)
        let backends = header.words("backends").compactMap(Backend.init)
        guard !backends.isEmpty else { fatalError("no backends in \(file)") }
        return backends.map { MeshRuleSet(file, text, header, $0) }
    }

    /// Those of the mode in which the sidecar reaches the app with the client's address.
    package static var transparent: [MeshRuleSet] { all.filter { $0.file.hasPrefix("istio-tproxy") } }

    static let folder = String(#filePath.dropLast("Support/MeshRuleSet.swift".count)) + "MeshRules/"

    private init(_ file: String, _ text: String, _ header: Header, _ backend: Backend) {
        self.file = file
        self.backend = backend
        self.text = text
        sidecarUser = header.words("sidecar").first ?? "0"
        mark = header.words("mark").first ?? "0"
        clientMark = header.words("client-mark").first ?? "0"
        commands = header.lines("run").map { $0.split(separator: " ").map(String.init) }
        var takes: [String: String] = [:]
        for entry in header.lines("takes").flatMap({ $0.split(separator: ",") }) {
            let words = entry.split(separator: " ")
            takes[String(words[0])] = "sidecar:\(words[1])"
        }
        self.takes = takes
        keeps = Set(header.words("keeps") + ["sidecar-as-client"])
    }

    /// Lines such as `# takes: app 15001`.
    private struct Header {
        private let comments: [Substring]

        init(of text: String) {
            comments = text.split(separator: "\n").filter { $0.hasPrefix("# ") }.map { $0.dropFirst(2) }
        }

        func lines(_ key: String) -> [Substring] {
            comments.filter { $0.hasPrefix(key + ": ") }.map { $0.dropFirst(key.count + 2) }
        }

        func words(_ key: String) -> [String] {
            lines(key).flatMap { $0.split(separator: " ") }.map(String.init)
        }
    }

    /// What installs it: commands, with their input.
    var installation: [(command: [String], input: String)] {
        let routes = commands.flatMap { command in
            ["-4", "-6"].map { ([command[0], $0] + command.dropFirst(), "") }
        }
        switch backend {
        case .nft: return routes + [(["nft", "-f", "-"], text)]
        case .iptablesNft: return routes + restore("iptables-nft-restore", "ip6tables-nft-restore", [])
        case .iptablesLegacy:
            return routes + restore("iptables-legacy-restore", "ip6tables-legacy-restore", ["--wait"])
        }
    }

    private func restore(_ tool: String, _ tool6: String, _ options: [String]) -> [(command: [String], input: String)] {
        var text6 = text
        for (address, address6) in Self.addresses6 { text6 = text6.replacing(address, with: address6) }
        return [([tool, "--noflush"] + options, text), ([tool6, "--noflush"] + options, text6)]
    }

    private static let addresses6 = [
        "127.0.0.1/32": "::1/128", "127.0.0.6/32": "::6/128", "10.89.0.2/32": "fd89::2/128",
        "169.254.7.127/32": "fd16:9254:7127:1337:ffff:ffff:ffff:ffff/128",
    ]
}
