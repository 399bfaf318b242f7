internal import CLinux
internal import Glibc
internal import SystemPackage

/// A caller's name of a network namespace, as the wire contract has it.
package enum NamespaceReference: Hashable, Sendable {
    /// The file of that name under /run/netns, where `ip netns add` and most container runtimes keep them.
    case name(String)
    /// Any other absolute path.
    case path(String)
    /// The namespace of a process.
    case pid(Int32)
    /// The namespace of a Kubernetes pod or of a container: never the host's.
    case workload(Workload)
    /// The host's namespace.
    case host

    /// The most names of a path. No tool puts namespaces that deep.
    package static let maxNames = 64

    /// The forms of a reference, for people.
    package static let forms =
        "a name under /run/netns, an absolute path of at most \(maxNames) names and without '..', pid:NUMBER, pod:UID, "
        + "container:ID (12 to 64 lower-case hexadecimal digits) or host"

    /// nil if `text` has none of these forms.
    package init?(_ text: String) {
        guard !text.isEmpty, text.utf8.count < 4096, !text.utf8.contains(0) else { return nil }
        let name = text.utf8.dropFirst(Self.folder.utf8.count)
        if text.utf8.starts(with: Self.folder.utf8), Self.isName(name) {
            self = .name(String(Substring(name)))
        } else if text.utf8.first == 0x2f {
            self.init(pathNames: text.pathNames)
        } else if text.hasPrefix("pid:") {
            guard let pid = Self.pid(text.dropFirst(4)) else { return nil }
            self = .pid(pid)
        } else if text.hasPrefix("pod:") {
            guard let pod = Workload(podUID: text.dropFirst(4)) else { return nil }
            self = .workload(pod)
        } else if text.hasPrefix("container:") {
            guard let container = Workload(containerID: text.dropFirst(10)) else { return nil }
            self = .workload(container)
        } else if text == "host" {
            self = .host
        } else {
            guard Self.isName(text.utf8[...]) else { return nil }
            self = .name(text)
        }
    }

    /// Whether this can be the name of a file in a folder (NAME_MAX).
    private static func isName(_ text: Substring.UTF8View) -> Bool {
        !text.isEmpty && text.count <= 255 && !text.contains(0x2f) && !text.elementsEqual(".".utf8)
            && !text.elementsEqual("..".utf8)
    }

    /// Two forms of one thing become one reference: /run/netns/web is `web`, /proc/4711/ns/net is `pid:4711`.
    private init?(pathNames names: [String]) {
        guard !names.contains(".."), names.count(where: { $0 != "." }) <= Self.maxNames else { return nil }
        // /var/run is /run (Filesystem Hierarchy Standard 3.0).
        let isNamed = names.dropLast() == ["run", "netns"] || names.dropLast() == ["var", "run", "netns"]
        if isNamed, let name = names.last, name != "." {
            self = .name(name)
        } else if names.count == 4, names[0] == "proc", names[2...] == ["ns", "net"], names[1].first != "0",
            let pid = Self.pid(names[1])
        {
            self = .pid(pid)
        } else {
            self = .path("/" + names.joined(separator: "/"))
        }
    }

    private static func pid(_ digits: some StringProtocol) -> Int32? {
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int32(digits).flatMap { $0 > 0 ? $0 : nil }
    }

    /// The reference as text: always the same one, in whichever way it was spelled. It reads back as this reference.
    package var canonical: String {
        switch self {
        case .name(let name): Self(name) == self ? name : Self.folder + name
        case .path(let path): path
        case .pid(let pid): "pid:\(pid)"
        case .workload(let workload): workload.canonical
        case .host: "host"
        }
    }

    /// Resolves the reference once. What is returned is the namespace itself, whatever happens to the name afterwards.
    ///
    /// - Parameters:
    ///   - user: the caller. Errors describe the content of a private folder to root only.
    ///   - addresses: of the pod or container, if the caller knows them: of several namespaces of its processes the one that
    ///     has one of them is meant.
    package func open(
        for user: UInt32 = 0, expecting addresses: [IPAddress]? = nil
    ) throws(NamespaceError) -> NetworkNamespace {
        switch self {
        case .name(let name): return try Self.open(name: name, for: user)
        case .path(let path): return try Self.resolve(path, for: user)
        case .pid(let pid): return try Self.open(pid: pid)
        case .workload(let workload): return try WorkloadNamespaces(workload).open(expecting: addresses)
        case .host: return try HostNamespace.isOwn ? HostNamespace.openOwn() : Self.open(pid: 1)
        }
    }

    private static let folder = "/run/netns/"

    /// Nearly always the file is the namespace, and the kernel finds it in one step.
    private static func open(name: String, for user: UInt32) throws(NamespaceError) -> NetworkNamespace {
        let path = folder + name
        if (try? FileStatus(path: folder))?.isRootsAlone == true, let namespace = try? NetworkNamespace(file: path) {
            return namespace
        }
        // A link on the way needs the careful resolution, and so does the error for one that is not there.
        return try resolve(path, for: user)
    }

    /// Only the kernel makes the names in /proc/PID.
    static func open(pid: Int32) throws(NamespaceError) -> NetworkNamespace {
        let path = "/proc/\(pid)/ns/net"
        let handle: OwnedDescriptor
        do throws(SystemCallError) {
            handle = OwnedDescriptor(adopting: try systemCall("open \(path)") { unsafe clinux_open_path(path) })
        } catch {
            throw hasEnded(pid, error) ? .notFound(path) : NamespaceError(error, path: path, process: "\(pid)")
        }
        return try NetworkNamespace(handle, path: path)
    }

    /// Whether a look at a process's namespace has failed since the process has ended. Of one that ends at that moment
    /// the kernel says EACCES, as of one that may not be looked at.
    private static func hasEnded(_ pid: Int32, _ error: SystemCallError) -> Bool {
        guard error.errno == .permissionDenied else { return error.meansAbsent }
        do {
            return try Files.inode(of: "/proc/\(pid)") == nil
        } catch {
            return false
        }
    }

    private static func resolve(_ path: String, for user: UInt32) throws(NamespaceError) -> NetworkNamespace {
        var resolver = try SafePathResolver(path)
        do throws(NamespaceError) {
            try resolver.resolve()
            return try NetworkNamespace(resolver.position, path: path)
        } catch {
            throw resolver.isPublic || user == 0 ? error : .hiddenFromCaller(path)
        }
    }

    /// A namespace's names under /run/netns, as references. Links there are not followed, and nothing is opened.
    /// Throws if it has no name there as far as is known, but not all is.
    package static func named(inode: UInt64) throws(SystemCallError) -> [NamespaceReference] {
        var names: [NamespaceReference] = []
        let unknown = try searchFiles { name, found in
            if found == inode { names.append(.name(name)) }
            return false
        }
        if names.isEmpty, let unknown { throw unknown }
        return names
    }

    /// Network namespaces but the host's that a file under /run/netns or a process has, by inode.
    package struct Visible: Sendable {
        /// A path to each.
        package var paths: [UInt64: String] = [:]
        /// The reason that there may be more; nil if these are all.
        package var unknown: SystemCallError?
    }

    package static func visible() throws(SystemCallError) -> Visible {
        var visible = Visible()
        visible.unknown = try search { inode, path in
            // A file's name stays when processes end: it comes first.
            if visible.paths[inode] == nil && !HostNamespace.inodes.contains(inode) { visible.paths[inode] = path }
            return false
        }
        return visible
    }

    /// Some name by which a namespace can be opened now; nil if no file and no process has it. Throws if that is not known.
    package static func find(inode: UInt64) throws(SystemCallError) -> String? {
        var found: String?
        let unknown = try search { other, path in
            if other == inode { found = path }
            return found != nil
        }
        if found == nil, let unknown { throw unknown }
        return found
    }

    // MARK: search

    /// Goes over the namespaces of files and processes, until `body` says that it has found what it searches for.
    ///
    /// - Returns: why some could not be looked at; nil if all were.
    private static func search(_ body: (UInt64, String) -> Bool) throws(SystemCallError) -> SystemCallError? {
        var isDone = false
        var unknown = try searchFiles { name, inode in
            isDone = body(inode, folder + name)
            return isDone
        }
        if isDone { return unknown }
        for pid in try Files.entries(in: "/proc").compactMap({ Int32($0.name) }) {
            let path = "/proc/\(pid)/ns/net"
            do {
                if let inode = try Files.inode(of: path), body(inode, path) { break }
            } catch {
                // PID 1 has the host's, and some daemons may not look at it.
                if pid != 1 && !hasEnded(pid, error) { unknown = unknown ?? error }
            }
        }
        return unknown
    }

    /// The same for what is under /run/netns.
    private static func searchFiles(_ body: (String, UInt64) -> Bool) throws(SystemCallError) -> SystemCallError? {
        var unknown: SystemCallError?
        for name in try Files.entries(in: folder).map(\.name) {
            do {
                let status = try FileStatus(path: folder + name)
                if status.isNamespace, body(name, status.inode) { break }
            } catch {
                if !error.meansAbsent { unknown = unknown ?? error }
            }
        }
        return unknown
    }
}
