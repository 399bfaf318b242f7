internal import SystemPackage

/// A process that has a socket open.
package struct SocketHolder: Hashable, Sendable {
    package var pid: Int32
    /// As the process calls itself: up to 15 bytes of anything.
    package var name: String

    /// The first process found of each socket, by the inode number of the socket; none of a socket whose process is not found.
    ///
    /// Processes of the namespace come first, then all others: the proxy of a node has sockets in the namespaces of its pods.
    /// Only /proc/PID/fd says which process has a socket. So many processes and descriptors are looked at, and no more: a pod
    /// that has a million of them is not worth more time than others.
    package static func find(_ sockets: Set<UInt64>, in namespace: UInt64, within limits: Limits = Limits())
        -> [UInt64: SocketHolder]
    {
        var search = Search(wanted: sockets, left: limits.descriptors, limits)
        let pids = ((try? Files.entries(in: "/proc", limit: limits.processes)) ?? []).compactMap { Int32($0.name) }
        let link = "net:[\(namespace)]"
        var others: [Int32] = []
        for pid in pids where !search.isOver {
            guard let process = ProcessFolder(pid) else { continue }
            if process.link("ns/net") == link { search.look(at: process) } else { others.append(pid) }
        }
        for pid in others where !search.isOver {
            if let process = ProcessFolder(pid) { search.look(at: process) }
        }
        return search.found
    }

    package struct Limits: Sendable {
        package var processes = 65536
        /// In all, and of one process.
        package var descriptors = 32768
        package var descriptorsOfOne = 4096

        package init() {}
    }

    private struct Search {
        var wanted: Set<UInt64>
        /// Descriptors that may still be looked at.
        var left: Int
        let limits: Limits
        private(set) var found: [UInt64: SocketHolder] = [:]

        init(wanted: Set<UInt64>, left: Int, _ limits: Limits) {
            (self.wanted, self.left, self.limits) = (wanted, left, limits)
        }

        var isOver: Bool { wanted.isEmpty || left <= 0 }

        /// What cannot be read has no sockets that are found.
        mutating func look(at process: borrowing ProcessFolder) {
            do throws(SystemCallError) {
                try lookInside(process)
            } catch {
                guard error.errno == .permissionDenied else { return }
                // Another user's process. The names below the folder are numbers, by the kernel: no client has named them.
                try? Capabilities.withRaised(.dacReadSearch) { () throws(SystemCallError) in try lookInside(process) }
            }
        }

        private mutating func lookInside(_ process: borrowing ProcessFolder) throws(SystemCallError) {
            let names = try Files.entries(in: process.path + "/fd", limit: min(left, limits.descriptorsOfOne)).map(
                \.name)
            for name in names where !wanted.isEmpty {
                left -= 1
                // Only the link is read: the file that it leads to may be on a file system that does not answer.
                guard let socket = process.link("fd/" + name).flatMap(Self.inode), wanted.remove(socket) != nil else {
                    continue
                }
                found[socket] = SocketHolder(pid: process.pid, name: process.name)
            }
        }

        /// `socket:[4711]`
        private static func inode(_ link: String) -> UInt64? {
            guard link.hasPrefix("socket:["), link.hasSuffix("]") else { return nil }
            return UInt64(link.dropFirst(8).dropLast())
        }
    }
}

/// A process's folder in proc, held: what is read there is of this process, whichever has its number later.
private struct ProcessFolder: ~Copyable {
    let pid: Int32
    private let handle: OwnedDescriptor

    /// nil if there is no such process any more.
    init?(_ pid: Int32) {
        guard let handle = try? Files.handle(on: "/proc/\(pid)") else { return nil }
        self.pid = pid
        self.handle = handle
    }

    var path: String { "/proc/self/fd/\(handle.rawValue)" }

    func link(_ name: String) -> String? { Files.link(path + "/" + name) }

    var name: String {
        let text = (try? Files.read(path + "/comm", limit: 64)) ?? []
        return String(decoding: text.last == 0x0a ? text.dropLast() : text[...], as: UTF8.self)
    }
}
