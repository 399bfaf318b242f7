/// What the path of a control group says of a process.
enum Cgroup {
    /// The path in the lines of /proc/PID/cgroup (cgroups(7)): version 2's, or else that of systemd's own hierarchy.
    static func path(_ lines: String) -> String? {
        let groups = lines.split(separator: "\n").map { $0.split(separator: ":", maxSplits: 2) }
        for line in lines.split(separator: "\n") where line.hasPrefix("0::") { return String(line.dropFirst(3)) }
        return groups.first { $0.count == 3 && $0[1] == "name=systemd" }.map { String($0[2]) }
    }

    /// The innermost service or scope on the path, which is what systemd calls a process's unit. A service inside a user's
    /// own manager (`user@1000.service/app.slice/x.service`) is that user's to name: the unit is the manager's.
    static func unit(_ path: String) -> String? {
        var unit: Substring?
        for part in path.split(separator: "/") where part.hasSuffix(".service") || part.hasSuffix(".scope") {
            unit = part
            if part.hasPrefix("user@") { break }
        }
        return unit.map(String.init)
    }
}

/// Finds a Kubernetes pod's processes through the control groups that the kubelet made for it.
///
/// The kubelet names a pod's group after the pod's UID: `kubepods-burstable-pod3f1c_....slice` with the systemd driver
/// (dashes become underscores, since a dash is systemd's path separator), `pod3f1c-...` with the cgroupfs driver; below
/// it is one group for each container. Version 1 has the same tree once for each controller.
package enum PodCgroup {
    /// A process, of which the number alone may be another's by now.
    package struct Process: Hashable, Comparable, Sendable {
        var start: UInt64
        package var pid: Int32

        package static func < (a: Self, b: Self) -> Bool { (a.start, a.pid) < (b.start, b.pid) }

        /// Whether the number is still this process's.
        func lives() throws(NamespaceError) -> Bool {
            do throws(SystemCallError) {
                return try startTime(of: pid) == start
            } catch {
                throw .systemCall(error)
            }
        }
    }

    /// The pod's processes, the oldest first: nearly always that is the sandbox's (pause), which lives as long as the pod's
    /// namespace.
    ///
    /// - Parameters:
    ///   - uid: the pod's UID as Kubernetes writes it.
    ///   - root: where the cgroup file systems are mounted.
    ///   - owner: whose the folders above the pod's processes must be. In one that was delegated to another user, that user
    ///     can make a group of any name and put processes into it.
    /// - Returns: none if no group has that name, or no process is in it. Throws only if that is not known.
    package static func processes(
        uid: String, root: String = "/sys/fs/cgroup", owner: UInt32 = 0
    ) throws(SystemCallError) -> [Process] {
        guard isUID(uid) else { return [] }
        let names = Names(uid: uid)
        var folders = [(path: root, depth: 0)]
        while let (path, depth) = folders.popLast() {
            for name in try Files.entries(in: path).filter(\.isFolder).map(\.name) {
                let child = path + "/" + name
                let isPod = names.match(name)
                guard isPod || depth < maxDepth && mayHoldPods(name), try belongs(child, to: owner) else { continue }
                if !isPod {
                    folders.append((child, depth + 1))
                } else if case let found = try processes(below: child), !found.isEmpty {
                    return found.sorted()
                }
            }
        }
        return []
    }

    /// A UID that can stand in a file name: letters, digits and dashes (a static pod's has no dashes).
    package static func isUID(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 64
            && text.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x41...0x5a).contains($0) || (0x61...0x7a).contains($0) || $0 == 0x2d
            }
    }

    /// mount, controller, a node's own folders (kind, minikube), kubepods, QoS class, pod.
    private static let maxDepth = 8

    private struct Names {
        let cgroupfs: String
        let systemd: String

        init(uid: String) {
            cgroupfs = "pod" + uid
            systemd = "pod" + String(uid.map { $0 == "-" ? "_" : $0 }) + ".slice"
        }

        func match(_ folder: String) -> Bool {
            folder == cgroupfs || folder == systemd || folder.hasSuffix("-" + systemd)
        }
    }

    /// Services and scopes hold no pods, and one pod is not inside another: most of the tree is left unread.
    private static func mayHoldPods(_ folder: String) -> Bool {
        let isPod = folder.hasPrefix("pod") || folder.contains("kubepods") && folder.contains("-pod")
        return !isPod && !folder.hasSuffix(".service") && !folder.hasSuffix(".scope")
    }

    private static func belongs(_ folder: String, to owner: UInt32) throws(SystemCallError) -> Bool {
        do {
            return try FileStatus(path: folder).belongs(toOnly: owner)
        } catch {
            if error.isShortage { throw error }
            return false
        }
    }

    /// A pod that may make groups of its own can make many, one below the other: the first of them and their first
    /// processes are enough, since the sandbox's group is at the top.
    private static let maxGroups = 1024
    private static let maxProcesses = 4096

    private static func processes(below path: String) throws(SystemCallError) -> [Process] {
        var found: [Process] = []
        var groups = [path]
        var next = 0
        while next < groups.count, found.count < maxProcesses {
            let group = groups[next]
            next += 1
            let lines = try text(group + "/cgroup.procs")?.split(separator: "\n") ?? []
            for line in lines.prefix(maxProcesses - found.count) {
                // A process of another PID namespace is listed as 0.
                guard let pid = Int32(line), pid > 0, let start = try startTime(of: pid) else { continue }
                found.append(Process(start: start, pid: pid))
            }
            let below = try Files.entries(in: group).filter(\.isFolder)
            groups += below.prefix(maxGroups - groups.count).map { group + "/" + $0.name }
        }
        return found
    }

    /// nil for the file of a group, or of a process, that has gone.
    private static func text(_ path: String) throws(SystemCallError) -> String? {
        do {
            return try Files.text(path)
        } catch {
            if error.isShortage { throw error }
            return nil
        }
    }

    /// Field 22 of /proc/PID/stat (proc(5)), in clock ticks since boot. The second field, the name, may hold spaces
    /// and parentheses: counting starts behind the last one.
    private static func startTime(of pid: Int32) throws(SystemCallError) -> UInt64? {
        guard let stat = try text("/proc/\(pid)/stat"), let end = stat.lastIndex(of: ")") else { return nil }
        let fields = stat[end...].split(separator: " ")
        return fields.count > 20 ? UInt64(fields[20]) : nil
    }
}
