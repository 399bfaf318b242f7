/// How a caller names a network namespace, as the wire contract has it.
public enum NamespaceReference: Hashable, Sendable {
    /// A bare name: the file under /run/netns, where `ip netns add` and most container runtimes keep them.
    case name(String)
    /// An absolute path.
    case path(String)
    /// The namespace of a process.
    case pid(Int32)
    /// The namespace of the Kubernetes pod with this UID.
    case pod(String)

    /// nil if `text` has none of the four forms.
    public init?(_ text: String) {
        guard !text.isEmpty, text.utf8.count < 4096, !text.utf8.contains(0) else { return nil }
        if text.hasPrefix("/") {
            self = .path(text)
        } else if text.hasPrefix("pid:") {
            let digits = text.dropFirst(4)
            guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let pid = Int32(digits), pid > 0 else {
                return nil
            }
            self = .pid(pid)
        } else if text.hasPrefix("pod:") {
            let uid = String(text.dropFirst(4))
            guard PodProcess.isUID(uid) else { return nil }
            self = .pod(uid)
        } else {
            guard text != ".", text != "..", text.utf8.count <= 255, !text.utf8.contains(0x2f) else { return nil }
            self = .name(text)
        }
    }

    /// Whether it names the namespace of PID 1, the host's.
    public var isFirstProcess: Bool {
        self == .pid(1) || self == .path("/proc/1/ns/net")
    }

    /// Resolves the reference once. What is returned is the namespace itself, whatever happens to the name afterwards.
    public func open() throws(NamespaceError) -> NetworkNamespace {
        switch self {
        case .name(let name): return try NetworkNamespace(path: "/run/netns/" + name)
        case .path(let path): return try NetworkNamespace(path: path)
        case .pid(let pid): return try NetworkNamespace(path: "/proc/\(pid)/ns/net")
        case .pod(let uid):
            guard let pid = PodProcess.oldest(uid: uid) else {
                throw .notFound("no process in a control group of pod \(uid)")
            }
            return try NetworkNamespace(path: "/proc/\(pid)/ns/net")
        }
    }

    /// The names under /run/netns that are files of a namespace.
    public static func names(ofInode inode: UInt64) -> [String] {
        Files.entries(in: "/run/netns").map(\.name).filter { Files.inode(of: "/run/netns/" + $0) == inode }
    }

    /// Some name by which a namespace can be opened now; nil if no file and no process has it.
    public static func find(inode: UInt64) -> String? {
        let named = Files.entries(in: "/run/netns").map { "/run/netns/" + $0.name }
        let processes = Files.entries(in: "/proc").filter { Int32($0.name) != nil }.map { "/proc/\($0.name)/ns/net" }
        return (named + processes).first { Files.inode(of: $0) == inode }
    }
}
