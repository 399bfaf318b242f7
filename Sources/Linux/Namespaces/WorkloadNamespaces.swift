internal import SystemPackage

/// The namespaces that the processes of a pod or container are in. Mostly that is one. Processes of the host can be in its
/// control group, as CRI-O's conmon is: the host's namespace is not among them.
struct WorkloadNamespaces {
    private let workload: Workload
    /// With the oldest process in it, of the oldest process first.
    private var namespaces: [(inode: UInt64, process: Workload.Process)] = []
    private var isOnHost = false

    init(_ workload: Workload) throws(NamespaceError) {
        self.workload = workload
        for process in try Self.processes(of: workload) {
            guard let inode = try Self.open(process)?.inode else { continue }
            if HostNamespace.inodes.contains(inode) {
                isOnHost = true
            } else if !namespaces.contains(where: { $0.inode == inode }) {
                namespaces.append((inode, process))
            }
        }
    }

    /// Opens the one that is meant.
    ///
    /// - Parameter addresses: if it is known which the workload has, those without one of them are left out.
    func open(expecting addresses: [IPAddress]?) throws(NamespaceError) -> NetworkNamespace {
        var candidates = namespaces
        if candidates.count > 1, let addresses {
            var fitting: [(inode: UInt64, process: Workload.Process)] = []
            for candidate in candidates where try Self.has(addresses, candidate.process) { fitting.append(candidate) }
            if !fitting.isEmpty { candidates = fitting }
        }
        guard candidates.count <= 1 else { throw .ambiguous(Self.several(candidates, workload)) }
        if let candidate = candidates.first, let namespace = try Self.open(candidate.process),
            namespace.inode == candidate.inode
        {
            return namespace
        }
        throw isOnHost
            ? .workloadOnHost(workload.description) : .notFound("no process of \(workload.description) on this node")
    }

    private static func processes(of workload: Workload) throws(NamespaceError) -> [Workload.Process] {
        let found: Result<[Workload.Process], Workload.Ambiguous>
        do throws(SystemCallError) {
            found = try workload.processes()
        } catch {
            throw .systemCall(error)
        }
        switch found {
        case .success(let processes): return processes
        case .failure(let ambiguous):
            let ids = ambiguous.ids.prefix(4).map { $0.prefix(20) + "…" }.joined(separator: ", ")
            throw .ambiguous("several containers have an id that begins with these digits (\(ids)): give more of them")
        }
    }

    private static func has(_ addresses: [IPAddress], _ process: Workload.Process) throws(NamespaceError) -> Bool {
        guard let namespace = try open(process) else { return false }
        do throws(SystemCallError) {
            return try !namespace.addresses().isDisjoint(with: addresses)
        } catch {
            throw .systemCall(error)
        }
    }

    private static func several(
        _ candidates: [(inode: UInt64, process: Workload.Process)], _ workload: Workload
    ) -> String {
        let shown = candidates.prefix(4).map { "\($0.inode) of process \($0.process.pid)" }.joined(separator: ", ")
        let more = candidates.count > 4 ? " and \(candidates.count - 4) more" : ""
        return
            "the processes of \(workload.description) are in \(candidates.count) namespaces (\(shown)\(more)): name one "
            + "with pid:NUMBER"
    }

    /// nil if the process has ended.
    private static func open(_ process: Workload.Process) throws(NamespaceError) -> NetworkNamespace? {
        let namespace: NetworkNamespace
        do throws(NamespaceError) {
            namespace = try NamespaceReference.open(pid: process.pid)
        } catch .notFound {
            return nil
        }
        do throws(SystemCallError) {
            // Another process may have got the number meanwhile.
            guard try process.lives() else { return nil }
            return namespace
        } catch {
            throw .systemCall(error)
        }
    }
}
