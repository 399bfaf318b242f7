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

    /// - Parameter root: where the cgroup file systems are mounted.
    package init(root: String = "/sys/fs/cgroup") {
        var folders = [Folder(path: root, depth: 0)]
        var known: Set<Workload> = []
        var count = 0
        while let folder = folders.popLast(), count < CgroupSearch.maxFolders {
            count += 1
            do throws(SystemCallError) {
                let names = try Files.entries(in: folder.path).filter(\.isFolder).map(\.name).sorted()
                // The last one is visited first.
                for name in names.reversed() where try Self.isRoots(folder.path + "/" + name) {
                    if folder.depth < CgroupSearch.maxDepth {
                        folders.append(Folder(path: folder.path + "/" + name, depth: folder.depth + 1))
                    }
                }
                guard let name = folder.path.split(separator: "/").last, let workload = Workload(folder: String(name)),
                    !known.contains(workload), let first = try CgroupSearch.processes(below: folder.path).min()
                else { continue }
                // Version 1 has the same groups once for each controller.
                known.insert(workload)
                elements.append(Element(workload: workload, process: first.pid))
            } catch {
                if !error.meansAbsent { unknown = unknown ?? error }
            }
        }
        if !folders.isEmpty {
            unknown = unknown ?? SystemCallError("search \(CgroupSearch.maxFolders) control groups", .noBufferSpace)
        }
    }

    /// A user can name groups after any workload in a part of the tree that is the user's own.
    private static func isRoots(_ path: String) throws(SystemCallError) -> Bool {
        try CgroupSearch.status(of: path)?.belongs(toOnly: 0) ?? false
    }
}

extension Workload {
    /// The workload whose control group has that name; nil if it is none's.
    fileprivate init?(folder: String) {
        if let id = Self.containerID(in: folder) {
            self.init(containerID: id)
        } else {
            self.init(podFolder: folder)
        }
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
