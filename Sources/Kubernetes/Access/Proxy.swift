internal import FoundationEssentials
internal import Linux

/// A proxy between client and API server.
package struct Proxy: Hashable, Sendable {
    package enum Kind: String, Sendable {
        case http
        case socks5
    }

    package let kind: Kind
    package let host: String
    package let port: Int
    /// `user:password`; nil for none.
    package let credentials: String?

    /// As a kubeconfig's `proxy-url` has it, and HTTPS_PROXY: `http://user:password@proxy.example:3128`.
    init(url: String) throws(AccessError) {
        let text = url.contains("://") ? url : "http://" + url
        // Messages must not show a password.
        let shown = text.split(separator: "@").last.map(String.init) ?? text
        guard let parts = URL(string: text), let scheme = parts.scheme?.lowercased(), let host = parts.host(),
            !host.isEmpty
        else { throw AccessError("the proxy \(shown) is not a URL such as http://proxy.example:3128") }
        switch scheme {
        case "http": kind = .http
        // A proxy resolves names itself, for either.
        case "socks5", "socks5h": kind = .socks5
        default: throw AccessError("the proxy \(shown) is of kind \(scheme): http and socks5 are supported")
        }
        self.host = host.filter { !"[]".contains($0) }
        port = parts.port ?? (kind == .http ? 80 : 1080)
        credentials = parts.user(percentEncoded: false).map { $0 + ":" + (parts.password(percentEncoded: false) ?? "") }
        if kind == .socks5, credentials != nil {
            throw AccessError("the proxy \(shown) has a user, which is supported for http proxies only")
        }
    }

    /// The one that the environment names for a server; nil if none, as Go's programs read it.
    init?(for server: String, environment: (String) -> String?) throws(AccessError) {
        guard let parts = URL(string: server), let host = parts.host()?.lowercased() else { return nil }
        let isPlain = parts.scheme == "http"
        func value(_ name: String) -> String? {
            [name, name.lowercased()].lazy.compactMap(environment).first { !$0.isEmpty }
        }
        guard let url = value(isPlain ? "HTTP_PROXY" : "HTTPS_PROXY") else { return nil }
        let exceptions = value("NO_PROXY") ?? ""
        if Self.isDirect(host.filter { !"[]".contains($0) }, parts.port ?? (isPlain ? 80 : 443), exceptions) {
            return nil
        }
        try self.init(url: url)
    }

    /// In the form that `init(url:)` takes, without the credentials.
    var url: String { "\(kind.rawValue)://\(host.contains(":") ? "[\(host)]" : host):\(port)" }

    /// Whether a server is reached without a proxy: loopback addresses are, and what NO_PROXY lists.
    private static func isDirect(_ host: String, _ port: Int, _ exceptions: String) -> Bool {
        let address = IPAddress(host)
        if host == "localhost" || address?.isLoopback == true { return true }
        return exceptions.split(separator: ",").contains { entry in
            let entry = entry.filter { !$0.isWhitespace }.lowercased()
            if entry == "*" { return true }
            if let address { return covers(entry, address, port) }
            let parts = entry.split(separator: ":", maxSplits: 1)
            guard let name = parts.first, parts.count == 1 || Int(parts[1]) == port else { return false }
            let domain = name.hasPrefix("*.") ? name.dropFirst() : name
            return domain.hasPrefix(".") ? host.hasSuffix(domain) : host == domain || host.hasSuffix("." + domain)
        }
    }

    /// Whether an entry is this address, with or without the port, or a network with it.
    private static func covers(_ entry: String, _ address: IPAddress, _ port: Int) -> Bool {
        let parts = entry.split(separator: "/", maxSplits: 1)
        if parts.count == 2, let network = IPAddress(String(parts[0])), let length = Int(parts[1]) {
            return (0...network.bytes.count * 8).contains(length)
                && network.bytes.count == address.bytes.count
                && network.bits.prefix(length) == address.bits.prefix(length)
        }
        if IPAddress(entry.filter { !"[]".contains($0) }) == address { return true }
        guard let colon = entry.lastIndex(of: ":"), Int(entry[entry.index(after: colon)...]) == port else {
            return false
        }
        return IPAddress(entry[..<colon].filter { !"[]".contains($0) }) == address
    }
}

extension IPAddress {
    fileprivate var bits: [Bool] { bytes.flatMap { byte in (0..<8).map { byte & (0x80 >> $0) != 0 } } }
}
