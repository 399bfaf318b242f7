internal import Glibc
internal import Linux
internal import NIOPosix
internal import SystemPackage

/// The open file descriptors of a process, for comparing before and after.
public enum Descriptors {
    /// Number and link target (`socket:[4711]`, `anon_inode:[eventpoll]`, a path) of each.
    ///
    /// Call `Testbed.warmUp` before the first census.
    ///
    /// - Parameter pid: the process; nil for the calling one.
    public static func open(of pid: Int32? = nil) throws -> [Int32: String] {
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
            // One that was closed since it was listed has no target any more.
            guard let number = Int32(name), number != own, let target = Links.target(of: "\(path)/\(name)") else {
                continue
            }
            found[number] = target
        }
        return found
    }

    /// What is open now and was not in `before`; an empty result is what a test wants.
    public static func opened(since before: [Int32: String]) throws -> [Int32: String] {
        try open().filter { before[$0.key] != $0.value }
    }
}

extension Testbed {
    /// Opens what stays open for the life of the process however often a testbed is made: the descriptors by which
    /// swift-subprocess watches its children, and the way home from a namespace.
    public static func warmUp() async throws {
        try await with { testbed in _ = try await testbed.whoAnswers(.outbound, .ipv4) }
        // Of clients' connections: its loops live as long as the process.
        _ = MultiThreadedEventLoopGroup.singleton.next()
    }
}

enum Links {
    /// nil if there is no link at `path`.
    static func target(of path: String) -> String? {
        var target = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = unsafe target.withUnsafeMutableBytes {
            unsafe readlink(path, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
        }
        return count < 0 ? nil : String(decoding: target[..<count], as: UTF8.self)
    }
}
