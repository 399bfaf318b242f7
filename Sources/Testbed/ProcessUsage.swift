internal import Linux

/// What a process uses, from proc.
public struct ProcessUsage: Hashable, Sendable {
    /// Resident memory in bytes.
    public let residentMemory: Int
    public let threads: Int
    public let descriptors: Int

    /// - Parameter pid: the process; it must be running.
    public init(pid: Int32) throws {
        let status = try Files.text("/proc/\(pid)/status")
        /// The number behind a name, as in `VmRSS:      5120 kB`.
        func number(_ name: String) -> Int {
            let line = status.split(separator: "\n").first { $0.hasPrefix(name + ":") }
            return line.flatMap { Int($0.filter(\.isNumber)) } ?? 0
        }
        residentMemory = number("VmRSS") * 1024
        threads = number("Threads")
        descriptors = try Descriptors.open(of: pid).count
    }
}

extension DaemonProcess {
    /// What it uses now.
    public func usage() throws -> ProcessUsage {
        try ProcessUsage(pid: pid)
    }
}
