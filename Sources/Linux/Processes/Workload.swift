internal import SystemPackage

/// A workload that a container runtime runs in control groups of its own: a Kubernetes pod, or one container.
///
/// The kubelet names a pod's group after the pod's UID: `kubepods-burstable-pod3f1c_....slice` with the systemd driver
/// (dashes become underscores, since a dash is systemd's path separator), `pod3f1c-...` with the cgroupfs driver; below
/// it is one group for each container, with the container's id in its name. Version 1 has the same tree once for each
/// controller. The tree may be anywhere: the kubelet can be a service, or in a container itself (kind).
package enum Workload: Hashable, Sendable {
    /// The UID as Kubernetes writes it; a static pod's has no dashes.
    case pod(uid: String)
    /// The id, or its first digits.
    case container(id: String)

    /// nil if `uid` cannot be a part of a file name that means only itself.
    package init?(podUID uid: some StringProtocol) {
        let isUID =
            !uid.isEmpty && uid.utf8.count <= 64
            && uid.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x41...0x5a).contains($0) || (0x61...0x7a).contains($0) || $0 == 0x2d
            }
        guard isUID else { return nil }
        self = .pod(uid: String(uid))
    }

    /// - Parameter text: 64 hexadecimal digits, or 12 and more of them, with the runtime's name in front as in a pod's
    ///   `containerStatuses` or without.
    package init?(containerID text: some StringProtocol) {
        let runtime = ["containerd://", "cri-o://", "docker://"].first { text.hasPrefix($0) }
        let id = text.dropFirst(runtime?.count ?? 0)
        guard (12...Self.idLength).contains(id.utf8.count), Self.isHexadecimal(id) else { return nil }
        self = .container(id: String(id))
    }

    private static let idLength = 64

    static func isHexadecimal(_ text: some StringProtocol) -> Bool {
        text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }

    /// As `NamespaceReference` writes it.
    package var canonical: String {
        switch self {
        case .pod(let uid): "pod:\(uid)"
        case .container(let id): "container:\(id)"
        }
    }

    /// For people.
    package var description: String {
        switch self {
        case .pod(let uid): "pod \(uid)"
        case .container(let id): "container \(id)"
        }
    }

    // MARK: its processes

    /// A process, of which the number alone may be another's by now.
    package struct Process: Hashable, Comparable, Sendable {
        var start: UInt64
        package var pid: Int32

        package static func < (a: Self, b: Self) -> Bool { (a.start, a.pid) < (b.start, b.pid) }

        /// Whether the number is still this process's.
        func lives() throws(SystemCallError) -> Bool { try startTime(of: pid) == start }
    }

    /// The beginning of an id that is given is that of several containers; their ids.
    package struct Ambiguous: Error, Hashable, Sendable {
        package var ids: [String]
    }

    /// The workload's processes, the oldest first.
    ///
    /// - Parameters:
    ///   - root: where the cgroup file systems are mounted.
    ///   - owner: whose the folders above the processes must be. In one that was delegated to another user, that user can
    ///     make a group of any name and put processes into it.
    /// - Returns: none if no group has that name, or no process is in it. Throws only if that is not known.
    package func processes(
        root: String = "/sys/fs/cgroup", owner: UInt32 = 0
    ) throws(SystemCallError) -> Result<[Process], Ambiguous> {
        var search = CgroupSearch(self, below: root, owner: owner)
        try search.run()
        let ids = Set(search.found.compactMap(\.containerID))
        return ids.count > 1
            ? .failure(Ambiguous(ids: ids.sorted())) : .success(search.found.flatMap(\.processes).sorted())
    }

    fileprivate struct Match {
        /// The whole id, if it is a container's group.
        var containerID: String?
    }

    /// nil if a folder is not a group of the workload.
    fileprivate func match(_ folder: String) -> Match? {
        switch self {
        case .pod(let uid):
            let systemd = "pod" + String(uid.map { $0 == "-" ? "_" : $0 }) + ".slice"
            // Where the kubelet uses the systemd driver and containerd does not, containerd makes one group for each
            // container, with the name that it was to give systemd: `kubepods-pod3f1c_....slice:cri-containerd:ID`.
            let name = folder.prefix { $0 != ":" }
            let isPod = folder == "pod" + uid || name == systemd || name.hasSuffix("-" + systemd)
            return isPod ? Match() : nil
        case .container(let id):
            guard let whole = Self.containerID(in: folder), whole.hasPrefix(id) else { return nil }
            return Match(containerID: whole)
        }
    }

    /// The id in the name of a container's group: `ID`, `cri-containerd-ID.scope`, `crio-ID.scope`, `docker-ID.scope`,
    /// `libpod-ID.scope`, `SLICE:cri-containerd:ID`. That of CRI-O's and Podman's monitor, a process of the host, also has it.
    static func containerID(in folder: String) -> String? {
        let name = folder.hasSuffix(".scope") ? folder.dropLast(6) : folder[...]
        let id = name.suffix(idLength)
        guard id.utf8.count == idLength, isHexadecimal(id), !name.contains("conmon-") else { return nil }
        return [nil, "-", ":"].contains(name.dropLast(idLength).last) ? String(id) : nil
    }

    /// Field 22 of /proc/PID/stat (proc(5)), in clock ticks since boot; nil for a process that has gone. The second field,
    /// the name, may hold spaces and parentheses: counting starts behind the last one.
    fileprivate static func startTime(of pid: Int32) throws(SystemCallError) -> UInt64? {
        guard let stat = try Cgroup.text("/proc/\(pid)/stat"), let end = stat.lastIndex(of: ")") else { return nil }
        let fields = stat[end...].split(separator: " ")
        return fields.count > 20 ? UInt64(fields[20]) : nil
    }
}

/// One walk over the control groups for those of a workload, the outermost first.
struct CgroupSearch {
    struct Found {
        var containerID: String?
        var processes: [Workload.Process]
    }

    private struct Folder {
        var path: String
        var depth: Int
    }

    private let workload: Workload
    private let owner: UInt32
    private var folders: [Folder]
    /// Below a user's own manager, which systemd has given that user: rootless Kubernetes runs there.
    private var delegated: [(folder: Folder, user: UInt32)] = []
    private(set) var found: [Found] = []
    /// The workload may be elsewhere than where nothing can be seen.
    private var unknown: SystemCallError?

    /// mount, controller, what the kubelet's service or container is in, kubepods, QoS class, pod, container.
    static let maxDepth = 14
    /// In each part of the tree that is one user's.
    static let maxFolders = 8192

    init(_ workload: Workload, below root: String, owner: UInt32) {
        self.workload = workload
        self.owner = owner
        folders = [Folder(path: root, depth: 0)]
    }

    /// A user can name groups in the part that is the user's own after any workload: it counts only where no other group is
    /// found.
    mutating func run() throws(SystemCallError) {
        walk(owner)
        for (folder, user) in delegated where found.isEmpty {
            folders = [folder]
            walk(user)
        }
        if found.isEmpty, let unknown { throw unknown }
    }

    private mutating func walk(_ user: UInt32) {
        var next = 0
        while next < min(folders.count, Self.maxFolders), found.isEmpty || !workload.isWhole {
            do throws(SystemCallError) {
                try visit(folders[next], user)
            } catch {
                unknown = unknown ?? error
            }
            next += 1
        }
    }

    private mutating func visit(_ folder: Folder, _ user: UInt32) throws(SystemCallError) {
        for name in try Files.entries(in: folder.path).filter(\.isFolder).map(\.name) {
            let path = folder.path + "/" + name
            guard let status = try Self.status(of: path) else { continue }
            guard status.belongs(toOnly: user) else {
                if user == owner, Self.isManager(name, of: status) {
                    delegated.append((Folder(path: path, depth: folder.depth + 1), status.owner))
                }
                continue
            }
            if let match = workload.match(name) {
                let processes = try Self.processes(below: path)
                if !processes.isEmpty { found.append(Found(containerID: match.containerID, processes: processes)) }
                // A pod has one group for each controller, which hold the same processes; so has a container, unless other
                // ids begin with the same digits.
                if !found.isEmpty, workload.isWhole { return }
            } else if folder.depth < Self.maxDepth, workload.mayBe(below: name) {
                // What is not found in the first of very many may be in the others.
                guard folders.count < Self.maxFolders else {
                    unknown = unknown ?? SystemCallError("search \(Self.maxFolders) control groups", .noBufferSpace)
                    continue
                }
                folders.append(Folder(path: path, depth: folder.depth + 1))
            }
        }
    }

    /// `user@1000.service`, which systemd gives to user 1000.
    private static func isManager(_ name: String, of status: FileStatus) -> Bool {
        name == "user@\(status.owner).service" && status.belongs(toOnly: status.owner)
    }

    /// nil for a folder that has gone.
    static func status(of path: String) throws(SystemCallError) -> FileStatus? {
        do {
            return try FileStatus(path: path)
        } catch {
            if error.meansAbsent { return nil }
            throw error
        }
    }

    /// A pod that may make groups of its own can make many, one below the other: the first of them and their first
    /// processes are enough, since the sandbox's group is at the top.
    private static let maxGroups = 1024
    private static let maxProcesses = 4096

    static func processes(below path: String) throws(SystemCallError) -> [Workload.Process] {
        var found: [Workload.Process] = []
        var groups = [path]
        var next = 0
        while next < groups.count, found.count < maxProcesses {
            let group = groups[next]
            next += 1
            let lines = try Cgroup.text(group + "/cgroup.procs")?.split(separator: "\n") ?? []
            for line in lines.prefix(maxProcesses - found.count) {
                // A process of another PID namespace is listed as 0.
                guard let pid = Int32(line), pid > 0, let start = try Workload.startTime(of: pid) else { continue }
                found.append(Workload.Process(start: start, pid: pid))
            }
            let below = try Files.entries(in: group).filter(\.isFolder)
            groups += below.prefix(maxGroups - groups.count).map { group + "/" + $0.name }
        }
        return found
    }
}

extension Workload {
    /// Whether no other workload's group can match.
    fileprivate var isWhole: Bool {
        switch self {
        case .pod: true
        case .container(let id): id.utf8.count == Self.idLength
        }
    }

    /// Whether the workload's group may be below a folder that is not the workload's. One pod is not inside another, which
    /// leaves most of the tree unread.
    fileprivate func mayBe(below folder: String) -> Bool {
        guard case .pod = self else { return true }
        let isPod =
            folder.hasPrefix("pod") && Self.isHexadecimal(folder.dropFirst(3).prefix(1))
            || folder.contains("kubepods") && folder.contains("-pod")
        return !isPod
    }
}
