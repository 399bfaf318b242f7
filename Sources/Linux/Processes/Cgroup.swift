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
    /// The pod's oldest process: the sandbox's (pause), which lives as long as the pod's namespace.
    ///
    /// - Parameters:
    ///   - uid: the pod's UID as Kubernetes writes it.
    ///   - root: where the cgroup file systems are mounted.
    /// - Returns: nil if no group has that name, or no process is in it. Throws only if that is not known.
    package static func oldestProcess(uid: String, root: String = "/sys/fs/cgroup") throws(SystemCallError) -> Int32? {
        guard isUID(uid) else { return nil }
        let names = Names(uid: uid)
        var folders = [(path: root, depth: 0)]
        while let (path, depth) = folders.popLast() {
            for name in try Files.entries(in: path).filter(\.isFolder).map(\.name) {
                let child = path + "/" + name
                if names.match(name) {
                    if let process = try processes(below: child).min() { return process.pid }
                } else if depth < maxDepth && mayHoldPods(name) {
                    folders.append((child, depth + 1))
                }
            }
        }
        return nil
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

    private struct Process: Comparable {
        var start: UInt64
        var pid: Int32

        static func < (a: Self, b: Self) -> Bool { (a.start, a.pid) < (b.start, b.pid) }
    }

    private static func processes(below path: String) throws(SystemCallError) -> [Process] {
        var found: [Process] = []
        for line in try text(path + "/cgroup.procs")?.split(separator: "\n") ?? [] {
            // A process of another PID namespace is listed as 0.
            guard let pid = Int32(line), pid > 0, let start = try startTime(of: pid) else { continue }
            found.append(Process(start: start, pid: pid))
        }
        for entry in try Files.entries(in: path) where entry.isFolder {
            found += try processes(below: path + "/" + entry.name)
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
