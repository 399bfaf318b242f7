internal import Bypass
internal import Datapath
internal import Linux

/// What a bypass can have left behind: rules without an entry, entries without a namespace.
struct LeftoverChecks {
    let bpffs: String

    private var pin: String { bpffs + "/bypass" }

    /// What was found, for people and for the repair.
    struct Leftovers {
        /// Rules that no entry goes with: the namespace's path, and the chains.
        var rules: [(inode: UInt64, path: String, chains: [String])] = []
        /// Entries of namespaces that nothing has any more.
        var entries: [UInt64] = []
        /// Namespaces that could not be looked at.
        var unseen: [String] = []
        var looked = 0
    }

    func look() throws(SystemCallError) -> Leftovers {
        var found = Leftovers()
        let visible = try NamespaceReference.visible()
        let matcher = try? Matcher.attached(to: bpffs)
        let entries = Set((try? matcher?.inodes()) ?? [])
        // A daemon that runs is about to clean up after what is over; without one, somebody else has to.
        let isAttended = (try? Files.lockFolder(bpffs, waits: false)) == nil
        for (inode, path) in visible.sorted(by: { $0.key < $1.key }) {
            found.looked += 1
            do {
                let namespace = try NetworkNamespace(path: path)
                let chains = try OrphanScan.ownChains(in: namespace, pin: pin)
                let entry = entries.contains(inode) ? try matcher?.entry(of: inode) : nil
                let isWanted = entry.map { isAttended || $0.isLive(at: BootClock.now) } ?? false
                if !chains.isEmpty && !isWanted && namespace.inode == inode {
                    found.rules.append((inode, path, chains))
                }
            } catch {
                // One that has ended meanwhile has nothing left in it.
                if Files.exists(path) { found.unseen.append(path) }
            }
        }
        found.entries = entries.filter { visible[$0] == nil && !HostNamespace.inodes.contains($0) }.sorted()
        return found
    }

    func findings() -> [Finding] {
        guard Process.isRoot else {
            return [.unknown("leftovers", "rules in namespaces, and the matcher's map, are root's to see")]
        }
        let found: Leftovers
        do throws(SystemCallError) {
            found = try look()
        } catch {
            return [.warning("leftovers", "namespaces cannot be looked for: \(error)", "try again")]
        }
        let advice = "kmesh-bypassctl doctor --repair, or start the daemon anew: it takes them away"
        var findings = found.rules.map { rule in
            Finding.problem(
                "leftovers", "\(rule.path): rules of no bypass in \(rule.chains.joined(separator: ", "))", advice)
        }
        findings += found.entries.map {
            .problem("leftovers", "the map has an entry of namespace \($0), which has gone", advice)
        }
        findings += found.unseen.map {
            .warning(
                "leftovers", "\($0) could not be looked at",
                "look at it yourself: nsenter --net=\($0) nft list ruleset")
        }
        return findings.isEmpty ? [.ok("leftovers", "none in \(found.looked) namespaces")] : findings
    }

    /// Takes away what there is.
    ///
    /// - Returns: what was done, for people.
    func repair() -> [Finding] {
        // Held to the end: a daemon that starts meanwhile has to wait.
        guard let lock = try? Files.lockFolder(bpffs, waits: false) else {
            return [
                .warning(
                    "repair", "a daemon has \(bpffs), or it cannot be had",
                    "systemctl restart kmesh-bypassd: the daemon takes leftovers away when it starts, bypasses stay on")
            ]
        }
        defer { withExtendedLifetime(lock) {} }
        do {
            let found = try look()
            if found.rules.isEmpty && found.entries.isEmpty { return [.ok("repair", "there was nothing to do")] }
            let matcher = try Matcher.load(into: bpffs)
            let views = RulesetCache()
            var done: [Finding] = []
            for inode in found.entries {
                try matcher.remove(inode)
                done.append(.ok("repair", "the entry of namespace \(inode) is gone"))
            }
            for rule in found.rules {
                let namespace = try NetworkNamespace(path: rule.path)
                // Its name may lead elsewhere by now.
                guard namespace.inode == rule.inode else { continue }
                var session = try NamespaceSession(namespace, detail: .ownRules, matcher: matcher, cache: views)
                guard try Reconciler.observe(&session).holdsLeftovers else { continue }
                _ = try Reconciler.reconcile(.off, in: &session)
                done.append(.ok("repair", "\(rule.path) is as it was without a bypass"))
            }
            return done
        } catch {
            let reason = (error as? BypassError)?.sentence ?? "\(error)"
            return [.problem("repair", reason, "what is left is told below")]
        }
    }
}
