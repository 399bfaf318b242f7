internal import Bypass
internal import Datapath
internal import Linux

/// A namespace that was opened for a caller, before anything is done in it.
struct FoundNamespace: Sendable {
    var inode: UInt64
    /// Whether it is the host's own.
    var isHost: Bool
}

extension Engine {
    /// Opens what a call is about, once.
    static func open(_ subject: Subject) throws(BypassError) -> NetworkNamespace {
        switch subject {
        case .named(let text, let user, let addresses, let check):
            try open(text, for: user, expecting: addresses, check)
        case .bypassed(let inode, let record): try open(inode, record)
        }
    }

    /// Resolves what a client wrote, and asks whether that client may have to do with it.
    private static func open(
        _ text: String, for user: UInt32, expecting addresses: [IPAddress]?, _ check: NamespaceCheck
    ) throws(BypassError) -> NetworkNamespace {
        guard let reference = NamespaceReference(text) else {
            throw .invalidParameter(
                "netns: must be a name under /run/netns, an absolute path without '..', pid:NUMBER or pod:UID")
        }
        let namespace: NetworkNamespace
        do throws(NamespaceError) {
            namespace = try reference.open(for: user)
        } catch {
            // Some hosts let nobody look at PID 1; whose namespace it has is known all the same.
            if case .firstProcess = error { try check(FoundNamespace(inode: 0, isHost: true)) }
            throw BypassError(error)
        }
        let inode = namespace.inode
        try check(FoundNamespace(inode: inode, isHost: HostNamespace.inodes.contains(inode)))
        if let addresses { try expect(addresses, in: namespace, named: text) }
        return namespace
    }

    private static func expect(
        _ expected: [IPAddress], in namespace: borrowing NetworkNamespace, named text: String
    ) throws(BypassError) {
        let addresses: Set<IPAddress>
        do throws(SystemCallError) {
            addresses = try namespace.addresses()
        } catch {
            throw BypassError(error)
        }
        guard addresses.isDisjoint(with: expected) else { return }
        let list = expected.map(\.description).joined(separator: ", ")
        throw .netnsMismatch(
            "\(text.asPartOfSentence) has none of the expected addresses (\(list)): it is another namespace, or its network "
                + "is not set up yet")
    }

    /// Opens a namespace that is bypassed, by whatever name it has now: a name may lead elsewhere by now.
    private static func open(_ inode: UInt64, _ record: Record) throws(BypassError) -> NetworkNamespace {
        for name in [record.path, record.netns] {
            if let namespace = try open(inode, NamespaceReference(name)) { return namespace }
        }
        let path: String?
        do throws(SystemCallError) {
            path = try NamespaceReference.find(inode: inode)
        } catch {
            throw BypassError(error)
        }
        if let path, let namespace = try open(inode, NamespaceReference(path)) { return namespace }
        throw .netnsNotFound("namespace \(inode), once \(record.netns), is gone")
    }

    /// nil if that name does not lead to the namespace; throws only if it is not known whether it does. A namespace that
    /// cannot be looked at has not gone.
    private static func open(
        _ inode: UInt64, _ reference: NamespaceReference?
    ) throws(BypassError) -> NetworkNamespace? {
        do throws(NamespaceError) {
            guard let namespace = try reference?.open(), namespace.inode == inode else { return nil }
            return namespace
        } catch {
            if case .systemCall(let error) = error, error.isShortage { throw BypassError(error) }
            return nil
        }
    }
}
