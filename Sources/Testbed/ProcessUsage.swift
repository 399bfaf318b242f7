internal import Glibc
internal import Linux

/// What a process uses, from proc.
public struct ProcessUsage: Hashable, Sendable {
    /// Resident memory in bytes.
    public let residentMemory: Int
    public let threads: Int
    public let descriptors: Int
    /// What it has used of the processors since it began.
    public let processorTime: Duration

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
        // The name in brackets may hold anything; user and system time are the 12th and 13th field after it.
        let statistics = try Files.text("/proc/\(pid)/stat")
        let fields = statistics[(statistics.lastIndex(of: ")") ?? statistics.startIndex)...].split(separator: " ")
        let ticks = fields.count > 13 ? (Int(fields[12]) ?? 0) + (Int(fields[13]) ?? 0) : 0
        processorTime = .seconds(1) * ticks / sysconf(CInt(_SC_CLK_TCK))
    }
}

extension DaemonProcess {
    /// What it uses now.
    public func usage() throws -> ProcessUsage {
        try ProcessUsage(pid: pid)
    }
}
