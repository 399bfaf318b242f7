/// A change of one namespace, as it was asked for.
public struct Change: Hashable, Sendable {
    public enum Wish: Hashable, Sendable {
        /// `ttl` in seconds; nil for a bypass that does not end by itself.
        case on(hooks: Set<Hook>, ttl: Int?)
        case off
    }

    /// As the caller wrote it.
    public var netns: String
    /// What that very namespace is called under /run/netns; empty unless ``Policy/looksAtNames(for:)``.
    public var names: [String]
    public var wish: Wish
    /// Whether it is the host's namespace.
    public var isHost: Bool

    public init(netns: String, names: [String] = [], wish: Wish, isHost: Bool = false) {
        self.netns = netns
        self.names = names
        self.wish = wish
        self.isHost = isHost
    }

    /// What a grant's globs are held against.
    var designations: [String] {
        let reference = Self.canonical(netns).map { [$0] } ?? []
        return reference + names.filter { !Self.readsAsAnotherForm($0) }
    }

    /// One spelling for the namespaces that have several: `web` for /run/netns/web and /var/run/netns/web, and no
    /// needless slashes and dots in other paths.
    ///
    /// nil for a path with `..`, which no glob matches: where it leads depends on links, and a glob that was written for
    /// what is inside a folder would reach what is beside it.
    static func canonical(_ netns: String) -> String? {
        // By scalars: a slash followed by a combining mark is a slash to the kernel, but not to Character.
        guard netns.unicodeScalars.first == "/" else { return netns }
        let parts = netns.unicodeScalars.split(separator: "/").map { String($0) }.filter { $0 != "." }
        if parts.contains("..") { return nil }
        let folder = parts.first == "var" ? parts.dropFirst() : parts[...]
        if folder.count == 3, folder.starts(with: ["run", "netns"]), let name = folder.last,
            !readsAsAnotherForm(name)
        {
            return name
        }
        return "/" + parts.joined(separator: "/")
    }

    /// A file /run/netns/pid:1 is not what `pid:1` means.
    private static func readsAsAnotherForm(_ name: String) -> Bool {
        name.hasPrefix("pid:") || name.hasPrefix("pod:")
    }
}
