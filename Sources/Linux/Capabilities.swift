/// What the process may do, from the kernel's own words in /proc/self/status (capabilities(7)).
public struct Capabilities: Sendable {
    public let effective: UInt64

    /// A capability by its number in linux/capability.h.
    public struct Capability: Hashable, Sendable {
        public let name: String
        public let number: UInt64

        public static let netAdmin = Capability(name: "CAP_NET_ADMIN", number: 12)
        public static let sysAdmin = Capability(name: "CAP_SYS_ADMIN", number: 21)
        public static let perfmon = Capability(name: "CAP_PERFMON", number: 38)
        public static let bpf = Capability(name: "CAP_BPF", number: 39)
    }

    public init() throws(SystemCallError) {
        let status = try Files.text("/proc/self/status")
        let line = status.split(separator: "\n").first { $0.hasPrefix("CapEff:") }
        effective = line.flatMap { UInt64($0.dropFirst(7).drop { $0 == "\t" || $0 == " " }, radix: 16) } ?? 0
    }

    public func contains(_ capability: Capability) -> Bool {
        effective & (1 << capability.number) != 0
    }
}
