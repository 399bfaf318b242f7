internal import SystemPackage

/// The pods and containers that have processes on this machine.
///
/// Anyone may read the control groups that they are read from: systemd-cgls(1) shows the same.
package struct WorkloadList: Sendable {
    package struct Element: Hashable, Sendable {
        package var workload: Workload
        /// The oldest process in its control group.
        package var process: Int32
    }

    /// The pods, each followed by its containers, and then other containers, in the order of the control groups.
    package private(set) var elements: [Element] = []
    /// The reason that there may be more; nil if these are all.
    package private(set) var unknown: SystemCallError?

    private struct Folder {
        var path: String
        var depth: Int
    }

    /// - Parameters:
    ///   - root: where the cgroup file systems are mounted.
    ///   - owner: whose the folders must be. A user can name groups after any workload in a part of the tree that is the user's
    ///     own.
    package init(root: String = "/sys/fs/cgroup", owner: UInt32 = 0) {
        var folders = [Folder(path: root, depth: 0)]
        var known: Set<Workload> = []
        var count = 0
        while let folder = folders.popLast(), count < CgroupSearch.maxFolders {
            count += 1
            do throws(SystemCallError) {
                let names = try Files.entries(in: folder.path).filter(\.isFolder).map(\.name).sorted()
                // The last one is visited first.
                for name in names.reversed()
                where try CgroupSearch.status(of: folder.path + "/" + name)?.belongs(toOnly: owner) == true {
                    if folder.depth < CgroupSearch.maxDepth {
                        folders.append(Folder(path: folder.path + "/" + name, depth: folder.depth + 1))
                    }
                }
                // Version 1 has the same groups once for each controller.
                let workloads = Workload.named(by: folder.path.split(separator: "/").last ?? "").filter {
                    !known.contains($0)
                }
                guard !workloads.isEmpty, let first = try CgroupSearch.processes(below: folder.path).min() else {
                    continue
                }
                known.formUnion(workloads)
                elements += workloads.map { Element(workload: $0, process: first.pid) }
            } catch {
                if !error.meansAbsent { unknown = unknown ?? error }
            }
        }
        if !folders.isEmpty {
            unknown = unknown ?? SystemCallError("search \(CgroupSearch.maxFolders) control groups", .noBufferSpace)
        }
    }
}

extension Workload {
    /// The workload whose control group has that name: none, one, or a pod and its container, in
    /// `kubepods-burstable-pod3f1c_....slice:cri-containerd:ID`.
    fileprivate static func named(by folder: Substring) -> [Workload] {
        let pod = Workload(podFolder: String(folder.prefix { $0 != ":" }))
        let container = containerID(in: String(folder)).flatMap { Workload(containerID: $0) }
        return [pod, container].compactMap(\.self)
    }

    /// `pod3f1c-...` or `kubepods-burstable-pod3f1c_....slice`.
    private init?(podFolder folder: String) {
        let isSystemd = folder.hasSuffix(".slice")
        let name = isSystemd ? folder.dropLast(6) : folder[...]
        // A UID has no dash in a slice's name.
        let last = isSystemd ? name.split(separator: "-").last ?? "" : name
        guard last.hasPrefix("pod") else { return nil }
        let uid = String(last.dropFirst(3).map { isSystemd && $0 == "_" ? "-" : $0 })
        // Not another word that begins like it.
        guard uid.utf8.count >= 8, uid.first?.isHexDigit == true, uid.allSatisfy({ $0.isHexDigit || $0 == "-" }) else {
            return nil
        }
        self.init(podUID: uid)
    }
}
