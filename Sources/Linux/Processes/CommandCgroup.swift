internal import CLinux
internal import Glibc
internal import Synchronization
internal import SystemPackage

/// A control group (version 2) of its own for a command: below the caller's, so that the caller's limits apply to it. The
/// kernel notes for each socket the group of the process that opened it.
package final class CommandCgroup: Sendable {
    /// Unique since boot: the inode number of its folder.
    package let number: UInt64
    private let path: String
    /// Its cgroup.procs, open to write.
    let processes: OwnedDescriptor

    /// The reason that there is none.
    package enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
        case onlyVersionOne
        /// The text is the path of the caller's group.
        case notMounted(String)
        case noSocketGroups(SystemCallError)
        /// The kernel has another group for the caller's sockets.
        case otherSocketGroup
        case systemCall(SystemCallError)

        package var description: String {
            switch self {
            case .onlyVersionOne:
                "this machine has control groups of version 1 only, of which the kernel keeps none for a socket"
            case .notMounted(let path): "the control group of this process (\(path)) is not mounted here"
            case .noSocketGroups(let error): "the kernel does not say which control group a socket belongs to: \(error)"
            case .otherSocketGroup:
                "the kernel keeps no control group of version 2 for sockets, since version 1's net_cls or net_prio is used"
            case .systemCall(let error): "cannot make a control group: \(error)"
            }
        }
    }

    private init(number: UInt64, path: String, processes: consuming OwnedDescriptor) {
        self.number = number
        self.path = path
        self.processes = processes
    }

    /// One that no command has entered goes with what has made it.
    deinit { _ = unsafe rmdir(path) }

    /// Makes an empty group.
    package static func make() throws(Failure) -> CommandCgroup {
        let parent = try own()
        do throws(SystemCallError) {
            removeAbandoned(in: parent)
            return try make(parent + "/" + prefix + "\(getpid())-\(made.add(1, ordering: .relaxed).newValue)")
        } catch {
            throw .systemCall(error)
        }
    }

    /// Ends the group, and those that the command has made in it. Processes that the command has left go to the group above.
    package func remove() throws(SystemCallError) {
        let parent = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
        var attempts = 0
        while true {
            do throws(SystemCallError) {
                return try Self.remove(path, movingTo: parent + "/cgroup.procs")
            } catch {
                // A process may have started another, or made a group, meanwhile, or may be ending.
                attempts += 1
                if error.errno != .resourceBusy || attempts > 100 { throw error }
                Thread.sleep(for: .milliseconds(10))
            }
        }
    }

    private static func remove(_ group: String, movingTo processes: String) throws(SystemCallError) {
        for pid in try Cgroup.text(group + "/cgroup.procs")?.split(separator: "\n") ?? [] {
            // It may have ended.
            try? write(String(pid), to: processes)
        }
        for entry in try Files.entries(in: group) where entry.isFolder {
            try remove(group + "/" + entry.name, movingTo: processes)
        }
        do throws(SystemCallError) {
            try systemCall("rmdir \(group)") { unsafe rmdir(group) }
        } catch {
            if !error.meansAbsent { throw error }
        }
    }

    /// Whether a group is one that a killed process has left, or has gone. False if that is not known.
    package static func isAbandoned(_ number: UInt64) -> Bool {
        // The root of all groups has the number 1: below it, each group is found.
        guard let mounts = try? MountTable.current().points(of: "cgroup2"),
            let root = mounts.first(where: { (try? Files.inode(of: $0)) == 1 })
        else { return false }
        var folders = [root]
        while let folder = folders.popLast() {
            if (try? Files.inode(of: folder)) == number { return isAbandoned(folder) }
            let entries: [Files.Entry]
            do throws(SystemCallError) {
                entries = try Files.entries(in: folder)
            } catch {
                if error.meansAbsent { continue }
                return false
            }
            for entry in entries where entry.isFolder { folders.append(folder + "/" + entry.name) }
        }
        return true
    }

    // MARK: making one

    private static let prefix = "kmesh-bypassctl-"
    private static let made = Atomic(0)

    private static func make(_ path: String) throws(SystemCallError) -> CommandCgroup {
        try systemCall("mkdir \(path)") { unsafe mkdir(path, 0o755) }
        do throws(SystemCallError) {
            let file = path + "/cgroup.procs"
            let processes = OwnedDescriptor(
                adopting: try systemCall("open \(file)") { unsafe open(file, O_WRONLY | O_CLOEXEC) })
            guard let number = try Files.inode(of: path) else {
                throw SystemCallError("stat \(path)", .noSuchFileOrDirectory)
            }
            return CommandCgroup(number: number, path: path, processes: processes)
        } catch {
            _ = unsafe rmdir(path)
            throw error
        }
    }

    /// The folder of the caller's group, after the kernel has said that its sockets belong to it.
    private static func own() throws(Failure) -> String {
        let (group, mounts): (Substring?, [String])
        do throws(SystemCallError) {
            let lines = try Files.text("/proc/self/cgroup").split(separator: "\n")
            group = lines.first { $0.hasPrefix("0::") }?.dropFirst(3)
            mounts = try MountTable.current().points(of: "cgroup2")
        } catch {
            throw .systemCall(error)
        }
        guard let group else { throw .onlyVersionOne }
        guard let folder = folder(of: group, mounts) else { throw .notMounted(String(group)) }
        var number: UInt64 = 0
        do throws(SystemCallError) {
            try systemCall("sock_diag") { unsafe clinux_socket_group(&number) }
        } catch {
            throw .noSocketGroups(error)
        }
        guard (try? Files.inode(of: folder)) == number else { throw .otherSocketGroup }
        return folder
    }

    /// The folder of a group that this process is in.
    private static func folder(of group: Substring, _ mounts: [String]) -> String? {
        for point in mounts {
            let folder = group == "/" ? point : point + group
            let processes = (try? Files.text(folder + "/cgroup.procs"))?.split(separator: "\n") ?? []
            if processes.contains("\(getpid())") { return folder }
        }
        return nil
    }

    /// Removes what processes that were killed have left, as far as it is empty.
    private static func removeAbandoned(in parent: String) {
        for name in (try? Files.entries(in: parent).map(\.name)) ?? [] {
            let path = parent + "/" + name
            if isAbandoned(path) { _ = unsafe rmdir(path) }
        }
    }

    private static func isAbandoned(_ path: String) -> Bool {
        let name = path.split(separator: "/").last ?? ""
        let pid = name.dropFirst(prefix.count).prefix { $0 != "-" }
        guard name.hasPrefix(prefix), !Files.exists("/proc/\(pid)") else { return false }
        return (try? Files.text(path + "/cgroup.procs"))?.isEmpty == true
    }

    private static func write(_ text: String, to path: String) throws(SystemCallError) {
        let file = OwnedDescriptor(adopting: try systemCall("open \(path)") { unsafe open(path, O_WRONLY | O_CLOEXEC) })
        let number = file.rawValue
        let bytes = Array(text.utf8)
        try systemCall("write \(path)") { unsafe Glibc.write(number, bytes, bytes.count) }
    }
}
