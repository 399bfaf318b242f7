internal import Linux

/// A namespace by a name that `kmesh-bypassctl` takes, as far as this user sees it.
struct KnownNamespace: Hashable {
    /// `web`, `pod:UID` or `container:ID`.
    var name: String
    /// The first process of a pod or a container.
    var process: Int32?

    /// The name of that process's program.
    var program: String? {
        guard let process, let name = try? Files.text("/proc/\(process)/comm") else { return nil }
        return name.split(separator: "\n").first.map(String.init)
    }

    /// All of this machine, and why there may be more.
    static func all() -> (namespaces: [KnownNamespace], unknown: String?) {
        let workloads = WorkloadList()
        let named = NameHint.files.map { file in
            // A file that is called `pid:1` has to be named by its path.
            NamespaceReference.name(file).canonical
        }
        let namespaces =
            named.map { KnownNamespace(name: $0) }
            + workloads.elements.map { KnownNamespace(name: $0.workload.canonical, process: $0.process) }
        return (namespaces, workloads.unknown.map { "\($0)" })
    }
}
