internal import Glibc
internal import Linux
internal import SystemPackage

/// The resources of a process, from proc.
package struct ProcessUsage: Hashable, Sendable {
    /// Resident memory in bytes.
    package let residentMemory: Int
    /// Its highest resident memory since it began, in bytes.
    package let peakMemory: Int
    package let threads: Int
    package let descriptors: Int
    /// Its processor time since its start.
    package let processorTime: Duration

    /// - Parameter pid: the process; it must be running.
    package init(pid: Int32) throws {
        let status = try Files.text("/proc/\(pid)/status")
        /// The number behind a name, as in `VmRSS:      5120 kB`.
        func number(_ name: String) -> Int {
            let line = status.split(separator: "\n").first { $0.hasPrefix(name + ":") }
            return line.flatMap { Int($0.filter(\.isNumber)) } ?? 0
        }
        residentMemory = number("VmRSS") * 1024
        peakMemory = number("VmHWM") * 1024
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
    /// Its present use.
    package func usage() throws -> ProcessUsage {
        try ProcessUsage(pid: pid)
    }
}

/// The open file descriptors of a process, for comparing before and after.
package enum Descriptors {
    /// Number and link target (`socket:[4711]`, `anon_inode:[eventpoll]`, a path) of each.
    ///
    /// - Parameter pid: the process; nil for the calling one.
    package static func open(of pid: Int32? = nil) throws -> [Int32: String] {
        let path = "/proc/\(pid.map(String.init) ?? "self")/fd"
        guard let directory = unsafe opendir(path) else {
            throw SystemCallError("opendir \(path)", Errno(rawValue: errno))
        }
        defer { unsafe closedir(directory) }
        // The listing itself is one.
        let own = pid == nil ? unsafe dirfd(directory) : -1
        var found: [Int32: String] = [:]
        while let entry = unsafe readdir(directory) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            // A descriptor that was closed since it was listed has no target.
            guard let number = Int32(name), number != own, let target = Links.target(of: "\(path)/\(name)") else {
                continue
            }
            found[number] = target
        }
        return found
    }
}
