package import Bypass
package import Linux
package import Netfilter
internal import Synchronization
internal import SystemPackage

/// One open namespace, for the length of one call: a netlink socket in it, and its place in the matcher's map.
package struct NamespaceSession: NamespaceKernel, ~Copyable {
    /// The extent of an observation.
    package enum Detail: Sendable {
        /// The nf_tables ruleset: neither iptables-legacy's redirects nor the rules' counters.
        case ownRules
        /// The redirects of iptables-legacy, too.
        case redirects
        /// Everything that a status shows.
        case full
    }

    package let inode: UInt64
    /// The reference by which the namespace was opened.
    package let path: String
    let matcher: Matcher
    private let cache: RulesetCache
    private let detail: Detail
    let parking: NamespaceParking
    private let leavesOpen: Bool
    /// What the kernel counts of TCP in the namespace, opened where that is likely to be asked for.
    let counters: NamespaceFile?
    private let tableLists: [NamespaceFile]
    /// nil if there are none of interest, or they were not asked for.
    var legacy: LegacyTables?
    /// The namespace's own number, never given twice; nil before Linux 5.14.
    package let cookie: UInt64?
    var socket: NetlinkSocket
    /// A socket in the namespace, by which it can be found again. It keeps the namespace alive.
    package var shared: SharedDescriptor { socket.shared }
    /// Whether the mask is tried although the kernel has refused it before.
    private var retriesMask = false
    /// A ruleset that changed while it was read: of it only what concerns a batch is read again.
    private var changing: Ruleset?
    /// What was observed last, and what has been done since. Changes are made to no other generation of the ruleset.
    private(set) var known: CachedRuleset?
    /// The namespace's entry in the matcher's map, once it has been read or written: no other thread writes it meanwhile, since
    /// a namespace's calls take turns.
    private var knownEntry: MapEntry??
    /// `known` is what the kernel held when it had executed the last batch: nothing has to be read again.
    private var isCurrent = false
    /// When the first attempt began.
    private var firstAttempt = Instant.now
    /// Whether a ruleset that changes while it is read is accepted as it was read. Once true, it stays true for the
    /// session.
    private var acceptsChanges = false

    private var ownAddresses: Set<IPAddress>?

    /// Of the ruleset as it was observed last; nil before that.
    package var generation: UInt32? { known?.generation }

    /// Our rules as they were observed last.
    package var rules: [Ruleset.CountedRule] { known?.rules ?? [] }

    /// Enters the namespace on the calling thread, which the caller owns; it need not if an earlier session has left open what
    /// this one needs.
    ///
    /// - Parameters:
    ///   - parking: where the socket stays after the session, so that no call waits for its end.
    ///   - leavesOpen: whether another session may follow soon.
    package init(
        _ namespace: borrowing NetworkNamespace, detail: Detail, matcher: Matcher, cache: RulesetCache,
        parking: NamespaceParking, leavesOpen: Bool
    ) throws(BypassError) {
        let open: OpenNamespace
        do throws(SystemCallError) {
            open = try OpenNamespace.open(
                namespace, detail, hasTransparentProxy: cache.hasTransparentProxy(namespace.inode), parking)
        } catch {
            throw BypassError(error)
        }
        inode = namespace.inode
        path = namespace.path
        self.matcher = matcher
        self.cache = cache
        self.detail = detail
        self.parking = parking
        self.leavesOpen = leavesOpen
        legacy = open.legacy
        tableLists = open.tableLists
        counters = open.counters
        cookie = open.cookie
        socket = open.socket
    }

    deinit {
        parking.leave(
            socket, cookie: cookie, tableLists: tableLists, counters: counters, of: inode, forNext: leavesOpen)
    }

    /// Has the mask tried again that the kernel has refused: what was missing may have been loaded since.
    package mutating func retryMask() { retriesMask = true }

    package mutating func begin(attempt: Int) -> Bool {
        let now = Instant.now
        if attempt == 0 { firstAttempt = now }
        socket.deadline = firstAttempt + NetlinkSocket.timeLimit
        let pause = RulesetAttempts.pause(before: attempt)
        guard now + pause < socket.deadline else { return false }
        if attempt > 1 { Thread.sleep(for: pause) }
        let isLate = now + pause - firstAttempt > RulesetAttempts.settledTime
        if attempt >= RulesetAttempts.settled || attempt > 0 && isLate { acceptsChanges = true }
        return true
    }

    /// The observation of an earlier call, if it is cached. It may be out of date: then the kernel refuses the batch.
    package mutating func cachedObservation() throws(KernelFailure) -> Observation? {
        guard let cached = cache.ruleset(of: inode, cookie: cookie) else { return nil }
        known = cached
        // No plan depends on where marks lead.
        return try merging(cached)
    }

    package mutating func observe() throws(KernelFailure) -> Observation {
        let current: CachedRuleset
        do throws(NetfilterError) {
            current = try currentRuleset()
        } catch {
            cache.remove(inode)
            throw KernelFailure(error)
        }
        known = current
        try completeLegacy(beside: current)
        var observation = try merging(current)
        if detail != .ownRules { addRoutedMarks(current.marking + (legacy?.marking ?? []), to: &observation) }
        return observation
    }

    /// The ruleset as it is now. If it is of the generation that is known, only our rules' counters are asked for.
    private mutating func currentRuleset() throws(NetfilterError) -> CachedRuleset {
        if isCurrent, let known {
            isCurrent = false
            return keep(known)
        }
        if acceptsChanges {
            let ruleset =
                if let changing {
                    try socket.refreshed(changing, for: matcher.operations.interest)
                } else {
                    try socket.changingRuleset(for: matcher.operations.interest)
                }
            changing = ruleset
            return keep(cacheable(ruleset))
        }
        let cached = cache.ruleset(of: inode, cookie: cookie)
        let generation: UInt32
        if detail == .full, var cached {
            let reread = try socket.reread(cached.rules)
            generation = reread.generation
            if generation == cached.generation {
                guard let rules = reread.rules else { throw .rulesetChanged }
                cached.rules = rules
                return cached
            }
        } else {
            generation = try socket.generation()
            if let known, known.isLasting, known.generation == generation { return keep(known) }
            if let cached, cached.generation == generation { return cached }
        }
        return keep(cacheable(try socket.ruleset(generation: generation, for: matcher.operations.interest)))
    }

    private func cacheable(_ ruleset: Ruleset) -> CachedRuleset {
        // Without a cookie (before Linux 5.14) nothing is known of the next namespace with this inode number: 0 fits none.
        CachedRuleset(ruleset, cookie: cookie ?? 0, pin: matcher.pin, masks: matcher.operations.masks)
    }

    private func keep(_ ruleset: CachedRuleset) -> CachedRuleset {
        cache.insert(ruleset, of: inode)
        return ruleset
    }

    private mutating func merging(_ ruleset: CachedRuleset) throws(KernelFailure) -> Observation {
        do throws(BypassError) {
            var observation = ruleset.observation.merging(
                legacy: legacy, entry: try entry(), now: BootClock.now)
            observation.lacksMask = cache.lacksMask.load(ordering: .relaxed) && !retriesMask
            let others = ruleset.nat.others + (legacy?.nat.others ?? [])
            observation.otherNat = others.filter { !leadsHome($0) }.map(Observation.OtherNat.init)
            observation.furtherOtherNat = ruleset.nat.furtherOthers + (legacy?.nat.furtherOthers ?? 0)
            return observation
        } catch {
            throw .refused(error)
        }
    }

    /// The namespace's entry in the matcher's map; nil if it is in the mesh.
    package mutating func entry() throws(BypassError) -> MapEntry? {
        if let knownEntry { return knownEntry }
        do throws(SystemCallError) {
            let entry = try matcher.entry(of: inode)
            knownEntry = .some(entry)
            return entry
        } catch {
            throw BypassError(error)
        }
    }

    package mutating func execute(_ actions: [Action]) throws(KernelFailure) {
        var rest = actions[...]
        while let action = rest.first {
            let batch = rest.prefix { $0.isInRuleset }
            if !batch.isEmpty {
                rest = rest.dropFirst(batch.count)
                try commit(batch)
                continue
            }
            rest = rest.dropFirst()
            do throws(SystemCallError) {
                knownEntry = nil
                switch action {
                case .setEntry(let entry):
                    try matcher.set(entry, of: inode)
                    knownEntry = .some(entry)
                case .removeEntry:
                    try matcher.remove(inode)
                    knownEntry = .some(nil)
                default: preconditionFailure("\(action) is executed in the ruleset")
                }
            } catch {
                throw .refused(BypassError(error))
            }
        }
    }

    private mutating func commit(_ batch: ArraySlice<Action>) throws(KernelFailure) {
        do throws(NetfilterError) {
            let handles = try socket.commit(matcher.operations.transaction(of: batch), generation: known?.generation)
            changing = nil
            if batch.contains(where: \.createsMask) { cache.lacksMask.store(false, ordering: .relaxed) }
            // What is known holds on, unless another program changes the ruleset: then its generation is another one.
            let created = known?.apply(batch, matcher.operations, created: handles)
            if created == nil { known = nil }
            isCurrent = known?.isTemporary == false
            // Rules that were left in place have counted since they were read.
            if isCurrent, detail == .full, let rules = known?.rules, rules.count != created {
                known?.rules = (try? socket.reread(rules).rules) ?? rules
            }
        } catch {
            // What was known may be why the batch was refused.
            (known, isCurrent) = (nil, false)
            cache.remove(inode)
            try repairPin(after: error)
            if error.isAboutMask {
                // Planned again without it.
                retriesMask = false
                cache.lacksMask.store(true, ordering: .relaxed)
                throw .rulesetChanged
            }
            throw KernelFailure(error)
        }
    }

    /// xt_bpf looks the pin up when a rule is made. If the pin has gone, or something else stands there, it is put
    /// back, and the batch can be tried again.
    private func repairPin(after error: NetfilterError) throws(KernelFailure) {
        guard case .refused(let operation, let errno, _) = error, operation.makesRule,
            [.noSuchFileOrDirectory, .permissionDenied, .invalidArgument].contains(errno)
        else { return }
        let wasRepaired: Bool
        do throws(MatcherError) {
            wasRepaired = try matcher.ensurePinned()
        } catch {
            throw .refused(BypassError(error))
        }
        if wasRepaired { throw .rulesetChanged }
    }

    /// Whether a rule may lead to a proxy: to another address of the namespace than that which it is for.
    private mutating func leadsHome(_ other: OtherNat) -> Bool {
        if other.destination == other.target { return false }
        return (try? addresses())?.contains(other.target) == true
    }

    /// The namespace's addresses, read once they are needed.
    mutating func addresses() throws(SystemCallError) -> Set<IPAddress> {
        if let ownAddresses { return ownAddresses }
        let read = try NetworkNamespace(of: socket.shared.descriptor).addresses()
        ownAddresses = read
        return read
    }

    /// iptables-legacy's tables, read now if that was not done before.
    mutating func legacyTables() throws(SystemCallError) -> LegacyTables {
        if let legacy { return legacy }
        if detail != .ownRules { return LegacyTables() }
        let read = try withEntered { () throws(SystemCallError) in try LegacyTables.read() }
        legacy = read
        return read
    }
}
