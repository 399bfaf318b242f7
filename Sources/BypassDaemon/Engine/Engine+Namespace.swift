internal import Bypass
internal import Linux

extension Engine {
    /// Opens what a call is about, once.
    static func open(_ subject: Subject) throws(BypassError) -> NetworkNamespace {
        switch subject {
        case .named(let text): try open(text)
        case .bypassed(let inode, let record): try open(inode, record)
        }
    }

    /// Resolves what a client wrote; the host's own namespace is nobody's to bypass.
    private static func open(_ text: String) throws(BypassError) -> NetworkNamespace {
        guard let reference = NamespaceReference(text) else {
            throw .invalidParameter(
                "netns: must be a name under /run/netns, an absolute path without '..', pid:NUMBER or pod:UID")
        }
        let refusal = BypassError.hostNetnsRefused(
            "\(text) is the host's own network namespace, which is never bypassed")
        let namespace: NetworkNamespace
        do throws(NamespaceError) {
            namespace = try reference.open()
        } catch {
            // Some hosts let nobody look at PID 1; whose namespace it has is known all the same.
            if case .firstProcess = error { throw refusal }
            throw BypassError(error)
        }
        guard !HostNamespace.inodes.contains(namespace.inode) else { throw refusal }
        return namespace
    }

    /// Opens a namespace that is bypassed, by whatever name it has now: a name may lead elsewhere by now.
    private static func open(_ inode: UInt64, _ record: Record) throws(BypassError) -> NetworkNamespace {
        for name in [record.path, record.netns] {
            if let namespace = try? NamespaceReference(name)?.open(), namespace.inode == inode { return namespace }
        }
        if let path = NamespaceReference.find(inode: inode), let namespace = try? NetworkNamespace(path: path),
            namespace.inode == inode
        {
            return namespace
        }
        throw .netnsNotFound("namespace \(inode), once \(record.netns), is gone")
    }
}
