internal import CLinux
internal import Glibc

/// The process's environment.
package enum ProcessEnvironment {
    /// A variable; one that is empty counts as unset.
    package static subscript(name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        let text = unsafe String(cString: value)
        return text.isEmpty ? nil : text
    }
}

/// The process's capabilities, from /proc/self/status (capabilities(7)).
package struct Capabilities: Sendable {
    package let effective: UInt64

    /// A capability by its number in linux/capability.h.
    package struct Capability: Hashable, Sendable {
        package let name: String
        package let number: UInt64

        package static let dacReadSearch = Capability(name: "CAP_DAC_READ_SEARCH", number: 2)
        package static let netAdmin = Capability(name: "CAP_NET_ADMIN", number: 12)
        package static let sysAdmin = Capability(name: "CAP_SYS_ADMIN", number: 21)
        package static let perfmon = Capability(name: "CAP_PERFMON", number: 38)
        package static let bpf = Capability(name: "CAP_BPF", number: 39)
    }

    package init() throws(SystemCallError) {
        let status = try Files.text("/proc/self/status")
        let line = status.split(separator: "\n").first { $0.hasPrefix("CapEff:") }
        effective = line.flatMap { UInt64($0.dropFirst(7).drop { $0 == "\t" || $0 == " " }, radix: 16) } ?? 0
    }

    package func contains(_ capability: Capability) -> Bool {
        effective & (1 << capability.number) != 0
    }

    /// Takes a capability out of the effective set of the calling thread, and so of the threads that it starts. It stays
    /// permitted, for ``withRaised(_:_:)``.
    package static func lower(_ capability: Capability) throws(SystemCallError) {
        try systemCall("capset: lowering \(capability.name)") {
            clinux_set_effective(UInt32(capability.number), 0)
        }
    }

    /// Runs `body` with a capability that is lowered otherwise. Other threads do not get it.
    ///
    /// Throws EPERM if the process may not have it. A thread that kept it would open with it what a client names, so that
    /// ends the process.
    static func withRaised<Result: ~Copyable>(
        _ capability: Capability, _ body: () throws(SystemCallError) -> Result
    ) throws(SystemCallError) -> Result {
        try systemCall("capset: raising \(capability.name)") {
            clinux_set_effective(UInt32(capability.number), 1)
        }
        defer {
            precondition(
                clinux_set_effective(UInt32(capability.number), 0) == 0, "capset: \(capability.name) is not lowered")
        }
        return try body()
    }
}

/// The limit of the process's open descriptors.
package enum DescriptorLimit {
    /// Raises the soft limit to the hard one. The soft one is low by default for the sake of select(2), which is not used.
    package static func raise() throws(SystemCallError) {
        var limit = rlimit()
        try systemCall("getrlimit RLIMIT_NOFILE") {
            unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        }
        limit.rlim_cur = limit.rlim_max
        try systemCall("setrlimit RLIMIT_NOFILE") {
            unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        }
    }
}

/// Prints one line on standard error. If that fails, there is no other place for it.
package func printError(_ message: String) {
    var line = message + "\n"
    _ = line.withUTF8 { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
}
