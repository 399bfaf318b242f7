internal import Bypass
internal import BypassAPI
internal import Datapath
internal import Linux

/// Opens namespaces for work in them: through the gate, one call at a time for each namespace, on the calling thread.
final class NamespaceExecutor: Sendable {
    /// The subject of a call.
    enum Target {
        /// What a client wrote, as which user, and which addresses the client expects there.
        case named(String, uid: UInt32, expecting: [IPAddress]? = nil)
        /// A namespace that is bypassed, or was.
        case known(UInt64, BypassRecord)
    }

    private let matcher: Matcher
    let rulesets = RulesetCache()
    let gate = NamespaceGate()
    private let parking: NamespaceParking

    init(matcher: Matcher, closer: DeferredCloser) {
        self.matcher = matcher
        parking = NamespaceParking(closer: closer)
    }

    /// Opens a namespace once and waits for its turn. What was opened is what is decided about and used, whatever its name
    /// leads to by then.
    ///
    /// - Parameter principal: whose places in the gate the call takes.
    /// - Returns: the turn, which the caller ends.
    func turn(in target: Target, as principal: FairScheduler.Principal) throws(BypassError) -> NamespaceTurn {
        let place = gate.enter(principal)
        do throws(BypassError) {
            let namespace = try open(target)
            gate.claim(namespace.inode, for: place)
            return NamespaceTurn(namespace, place, leavesOpen: principal.isClient, of: self)
        } catch {
            gate.leave(place)
            throw error
        }
    }

    fileprivate func enter(
        _ namespace: borrowing NetworkNamespace, _ detail: NamespaceSession.Detail, leavesOpen: Bool
    ) throws(BypassError) -> NamespaceSession {
        try NamespaceSession(
            namespace, detail: detail, matcher: matcher, cache: rulesets, parking: parking, leavesOpen: leavesOpen)
    }

    fileprivate func rules(of namespace: borrowing NetworkNamespace) throws(BypassError) -> NamespaceRules {
        do throws(SystemCallError) {
            return try NamespaceRules(namespace, matcher: matcher, closer: parking.closer)
        } catch {
            throw BypassError(error)
        }
    }

    fileprivate func trace(
        of namespace: borrowing NetworkNamespace, _ rules: NamespaceRules
    ) throws(BypassError) -> NamespaceTrace {
        try NamespaceTrace(namespace, rules, matcher: matcher, closer: parking.closer)
    }

    // MARK: opening

    private func open(_ target: Target) throws(BypassError) -> NetworkNamespace {
        switch target {
        case .named(let text, let uid, let addresses): try open(text, for: uid, expecting: addresses)
        case .known(let inode, let record): try open(inode, record)
        }
    }

    /// Resolves what a client wrote.
    private func open(
        _ text: String, for uid: UInt32, expecting addresses: [IPAddress]?
    ) throws(BypassError) -> NetworkNamespace {
        guard let reference = NamespaceReference(text) else {
            throw .invalidParameter("netns: must be \(NamespaceReference.forms)")
        }
        do throws(NamespaceError) {
            return try reference.open(for: uid, expecting: addresses)
        } catch {
            throw BypassError(error)
        }
    }

    /// Opens a namespace that is bypassed, by whatever name it has now: a name may lead elsewhere by now.
    private func open(_ inode: UInt64, _ record: BypassRecord) throws(BypassError) -> NetworkNamespace {
        var unknown: SystemCallError?
        for name in [record.path, record.netns] {
            if let namespace = open(inode, NamespaceReference(name), &unknown) { return namespace }
        }
        do throws(SystemCallError) {
            if let path = try NamespaceReference.find(inode: inode),
                let namespace = open(inode, NamespaceReference(path), &unknown)
            {
                return namespace
            }
            if let unknown { throw unknown }
        } catch {
            throw BypassError(error)
        }
        throw .netnsNotFound("namespace \(inode), once \(record.netns), is gone")
    }

    /// nil if that name does not lead to the namespace, or it is not known whether it does. A namespace that cannot be opened
    /// has not gone.
    private func open(
        _ inode: UInt64, _ reference: NamespaceReference?, _ unknown: inout SystemCallError?
    ) -> NetworkNamespace? {
        do throws(NamespaceError) {
            guard let namespace = try reference?.open(), namespace.inode == inode else { return nil }
            return namespace
        } catch {
            if case .systemCall(let error) = error { unknown = unknown ?? error }
            return nil
        }
    }
}

/// A call's turn in one namespace: it is open, and no other call works in it until ``end()``.
struct NamespaceTurn: ~Copyable {
    let namespace: NetworkNamespace
    private let place: NamespaceGate.Place
    /// Whether what is opened in the namespace is left open for the next call.
    private let leavesOpen: Bool
    private let executor: NamespaceExecutor

    fileprivate init(
        _ namespace: consuming NetworkNamespace, _ place: NamespaceGate.Place, leavesOpen: Bool,
        of executor: NamespaceExecutor
    ) {
        self.namespace = namespace
        self.place = place
        self.leavesOpen = leavesOpen
        self.executor = executor
    }

    /// The namespace of a decision, before anything is done in it.
    var resolved: ResolvedNamespace {
        ResolvedNamespace(inode: namespace.inode, isHost: HostNamespace.inodes.contains(namespace.inode))
    }

    /// Opens a session in the namespace, on the calling thread.
    func enter(_ detail: NamespaceSession.Detail) throws(BypassError) -> NamespaceSession {
        try executor.enter(namespace, detail, leavesOpen: leavesOpen)
    }

    /// Reads all rules that decide about the namespace's packets, on the calling thread.
    func rules() throws(BypassError) -> NamespaceRules {
        try executor.rules(of: namespace)
    }

    /// Begins a trace of the namespace's connections.
    func trace(_ rules: NamespaceRules) throws(BypassError) -> NamespaceTrace {
        try executor.trace(of: namespace, rules)
    }

    /// Throws unless the namespace has one of the addresses.
    func expect(_ expected: [IPAddress], named text: String) throws(BypassError) {
        let addresses: Set<IPAddress>
        do throws(SystemCallError) {
            addresses = try namespace.addresses()
        } catch {
            throw BypassError(error)
        }
        guard addresses.isDisjoint(with: expected) else { return }
        let list = expected.map(\.description).joined(separator: ", ")
        let reason =
            addresses.allSatisfy(\.isLoopback)
            ? "its network is not set up yet, or is not in a namespace of the node (Kata Containers, gVisor)"
            : "it is another namespace, or its network is not set up yet"
        throw .netnsMismatch("\(text.asPartOfSentence) has none of the expected addresses (\(list)): \(reason)")
    }

    /// The next call's turn comes.
    func end() {
        executor.gate.leave(place)
    }
}
