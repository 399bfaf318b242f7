internal import Bypass
package import BypassAPI
internal import Datapath
internal import Linux

/// Finds and removes what a bypass can leave behind: rules without an entry, entries without a namespace.
package struct LeftoverChecks {
    private let bpffs: String

    package init(bpffs: String) {
        self.bpffs = bpffs
    }

    private var pin: String { bpffs + "/bypass" }

    private struct Leftovers {
        /// Rules without an entry.
        var rules: [OrphanedRules] = []
        /// By the namespace's path.
        var foreign: [(path: String, rule: ForeignBypass)] = []
        /// Entries of namespaces that no longer exist.
        var entries: [UInt64] = []
        /// Namespaces that could not be scanned.
        var unscanned: [String] = []
        /// The reason that namespaces may be missing; nil if all were found.
        var unknown: SystemCallError?
        var scanned = 0
    }

    private struct OrphanedRules {
        var inode: UInt64
        /// Of the namespace.
        var path: String
        var chains: [String]
    }

    // MARK: - Scan

    private func scan() throws(SystemCallError) -> Leftovers {
        var found = Leftovers()
        let visible = try NamespaceReference.visible()
        let matcher = try? Matcher.attached(to: bpffs)
        let entries = Set(try matcher?.inodes() ?? [])
        // A running daemon is about to remove what has expired.
        let isDaemonRunning = (try? Files.lockFolder(bpffs, waits: false)) == nil
        for (inode, path) in visible.paths.sorted(by: { $0.key < $1.key }) {
            found.scanned += 1
            do {
                let namespace = try NetworkNamespace(path: path)
                let standing = try OrphanScan.scan(namespace, pin: pin)
                let chains = standing.ownChains
                found.foreign += standing.foreignBypasses.map { (path, $0) }
                let entry = entries.contains(inode) ? try matcher?.entry(of: inode) : nil
                let isWanted = entry.map { isDaemonRunning || $0.isLive(at: BootClock.now) } ?? false
                if !chains.isEmpty && !isWanted && namespace.inode == inode {
                    found.rules.append(OrphanedRules(inode: inode, path: path, chains: chains))
                }
            } catch {
                // One that has been deleted meanwhile has nothing left in it.
                if case NamespaceError.notFound = error { continue }
                found.unscanned.append(path)
            }
        }
        found.unknown = visible.unknown
        // The namespace of an entry may be one that was not found.
        if found.unknown == nil {
            found.entries = entries.filter { visible.paths[$0] == nil && !HostNamespace.inodes.contains($0) }.sorted()
        }
        return found
    }

    package func findings() -> [Finding] {
        guard isRoot else {
            return [.unknown("leftovers", "only root can see rules in namespaces, and the matcher's map")]
        }
        let found: Leftovers
        do throws(SystemCallError) {
            found = try scan()
        } catch {
            return [.warning("leftovers", "namespaces cannot be listed: \(error)", "try again")]
        }
        let advice = "\(Product.name) repair, or restart the daemon: it removes them"
        var findings = found.rules.map { rule in
            Finding.problem(
                "leftovers", "\(rule.path): orphaned rules in \(rule.chains.joined(separator: ", "))", advice)
        }
        findings += found.entries.map {
            .problem("leftovers", "the map has an entry of namespace \($0), which was deleted", advice)
        }
        findings += found.unscanned.map {
            .warning(
                "leftovers", "\($0) could not be scanned",
                "inspect it by hand: nsenter --net=\($0) nft list ruleset")
        }
        if let unknown = found.unknown {
            findings.append(.warning("leftovers", "not all namespaces can be listed: \(unknown)", "try again"))
        }
        if findings.isEmpty { findings = [.ok("leftovers", "none in \(found.scanned) namespaces")] }
        return findings
            + found.foreign.map { path, rule in
                .warning(
                    "foreign-bypass",
                    "\(path): another program's rule, such as Kmesh's, bypasses the sidecar: \(rule.description)",
                    rule.remedy(in: path))
            }
    }

    // MARK: - Repair

    /// Removes leftovers, unless a daemon runs.
    ///
    /// - Returns: what was done, for people.
    package func repair() -> [Finding] {
        // Held to the end: a daemon that starts meanwhile has to wait.
        guard let lock = try? Files.lockFolder(bpffs, waits: false) else {
            return [
                .warning(
                    "repair", "a daemon uses \(bpffs), or it cannot be locked",
                    "\(Systemd.isBooted ? "systemctl restart \(Product.name)" : "restart the daemon"): it removes leftovers "
                        + "when it starts, bypasses stay on")
            ]
        }
        defer { withExtendedLifetime(lock) {} }
        do {
            let found = try scan()
            if found.rules.isEmpty && found.entries.isEmpty { return [.ok("repair", "there was nothing to do")] }
            let matcher = try Matcher.load(into: bpffs)
            var done: [Finding] = []
            for inode in found.entries {
                try matcher.remove(inode)
                done.append(.ok("repair", "the entry of namespace \(inode) was removed"))
            }
            return try done + remove(found.rules, matcher)
        } catch {
            let reason = (error as? BypassError)?.message ?? "\(error)"
            return [.problem("repair", reason, "see below for what is left")]
        }
    }

    private func remove(_ rules: [OrphanedRules], _ matcher: Matcher) throws -> [Finding] {
        let cache = RulesetCache()
        let closer = try DeferredCloser()
        let parking = NamespaceParking(closer: closer)
        defer { closer.stop() }
        // A namespace in which something cannot be removed does not keep the others from being cleaned up.
        return rules.flatMap { rule in
            do throws(BypassError) {
                return try remove(rule, matcher, cache, parking)
            } catch {
                return [.problem("repair", "\(rule.path): \(error.message)", "see below for what is left")]
            }
        }
    }

    private func remove(
        _ rule: OrphanedRules, _ matcher: Matcher, _ cache: RulesetCache, _ parking: NamespaceParking
    ) throws(BypassError) -> [Finding] {
        let namespace: NetworkNamespace
        do throws(NamespaceError) {
            namespace = try NetworkNamespace(path: rule.path)
        } catch {
            throw BypassError(error)
        }
        // Its name may belong to another namespace by now.
        guard namespace.inode == rule.inode else { return [] }
        var session = try NamespaceSession(
            namespace, detail: .ownRules, matcher: matcher, cache: cache, parking: parking,
            leavesOpen: false)
        guard try Reconciler.observe(&session).holdsLeftovers else { return [] }
        let leftovers = try Reconciler.end(in: &session).leftovers
        if leftovers.isEmpty { return [.ok("repair", "\(rule.path) is as it was without a bypass")] }
        return leftovers.map { leftover in
            .problem(
                "repair", "\(rule.path): the bypass is off, but \(leftover.message)",
                "stop the program that is in the way, then repair again; or delete the namespace")
        }
    }
}
