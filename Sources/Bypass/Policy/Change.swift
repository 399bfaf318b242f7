/// A change of one namespace, as it was asked for.
public struct Change: Hashable, Sendable {
    public enum Wish: Hashable, Sendable {
        /// `ttl` in seconds; nil for a bypass that does not end by itself.
        case on(hooks: Set<Hook>, ttl: Int?)
        case off
    }

    /// As the caller wrote it.
    public var netns: String
    /// What grants' globs are held against: `netns` in the one spelling that it has, and what else that very namespace is
    /// called under /run/netns, if ``Policy/looksAtNames(for:)``.
    public var designations: [String]
    public var wish: Wish
    /// Whether it is the host's namespace.
    public var isHost: Bool

    /// - Parameters:
    ///   - reference: `netns` in its one spelling, if it is another.
    ///   - names: what else the namespace is called, each in the one spelling that it has.
    public init(
        netns: String, reference: String? = nil, names: [String] = [], wish: Wish, isHost: Bool = false
    ) {
        self.netns = netns
        designations = [reference ?? netns] + names
        self.wish = wish
        self.isHost = isHost
    }
}
