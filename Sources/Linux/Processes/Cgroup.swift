internal import SystemPackage

/// Facts about a process from the path of its control group.
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

    /// The text of a file of a group, or of a process; nil if that has gone: one that went after it was opened gives ENODEV.
    /// So does a threaded group, with EOPNOTSUPP: its processes are listed by the group above.
    static func text(_ path: String) throws(SystemCallError) -> String? {
        do {
            return try Files.text(path)
        } catch {
            if error.meansAbsent || [Errno.operationNotSupportedByDevice, .notSupported].contains(error.errno) {
                return nil
            }
            throw error
        }
    }
}
