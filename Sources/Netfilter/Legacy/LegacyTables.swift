internal import CLibnftnl
internal import Glibc
package import Linux
internal import Synchronization
internal import SystemPackage

/// The rules of iptables-legacy in a namespace: x_tables' own tables, which nf_tables knows nothing of.
package struct LegacyTables: Sendable {
    package private(set) var redirects: [Redirect] = []
    package private(set) var nat = NatRules()
    package private(set) var bareVerdicts: [BareVerdict] = []
    package private(set) var untracking: [Untracking] = []
    /// Tables that can leave packets untracked, and were not read: that matters where TPROXY is alone.
    private var unread: [InternetProtocol] = []
    package var isComplete: Bool { unread.isEmpty }
    /// The kernel's lists of the tables that there are, for each family that has one.
    package private(set) var lists: [NamespaceFile] = []
    /// The parts that may redirect, and could not be read or understood.
    package private(set) var unreadable: [UnreadableRules] = []

    /// The chains that mark packets which leave.
    package var marking: [Redirect] { redirects.filter { $0.mechanism == .mark } }

    /// No tables.
    package init() {}

    /// Whether it is certain that the lists of a namespace are still empty.
    package static func areEmpty(_ lists: [NamespaceFile]) -> Bool {
        // A family without a list may have one by now.
        lists.count == 2 && lists.allSatisfy { (try? $0.isEmpty) == true }
    }

    /// Whether there is nothing in them that is of interest here.
    package var isEmpty: Bool {
        redirects.isEmpty && nat == NatRules() && bareVerdicts.isEmpty && untracking.isEmpty && unread.isEmpty
            && unreadable.isEmpty
    }

    /// Reads the legacy tables of the calling thread's network namespace.
    ///
    /// Reads only tables that are there: asking x_tables for a table makes it. Throws only if the daemon has run out of
    /// something: what else goes wrong is the namespace's, and is in `unreadable`.
    ///
    /// - Parameter besideTransparentProxy: whether TPROXY is known to be there.
    package static func read(besideTransparentProxy: Bool = false) throws(SystemCallError) -> LegacyTables {
        var tables = LegacyTables()
        for version in [InternetProtocol.four, .six] {
            for name in try tables.names(version).split(separator: 0x0a) {
                switch String(decoding: name, as: UTF8.self) {
                case "nat": try tables.add("nat", version, [.nat: [.prerouting, .output]])
                case "mangle":
                    try tables.add("mangle", version, [.transparentProxy: [.prerouting], .mark: [.output]])
                case "raw": tables.unread.append(version)
                default: break
                }
            }
        }
        if besideTransparentProxy || tables.hasTransparentProxy { try tables.complete() }
        return tables
    }

    package var hasTransparentProxy: Bool { redirects.contains { $0.mechanism == .transparentProxy } }

    /// Reads what matters beside TPROXY, in the calling thread's network namespace.
    package mutating func complete() throws(SystemCallError) {
        while let version = unread.popLast() { try add("raw", version, [:]) }
    }

    /// The names of the tables that there are. Without the file, x_tables is not in this kernel, or not loaded.
    mutating func names(_ version: InternetProtocol) throws(SystemCallError) -> [UInt8] {
        do throws(SystemCallError) {
            let list = try NamespaceFile(version.tableNames)
            lists.append(list)
            return try list.read()
        } catch {
            if error.isShortage { throw error }
            if error.errno == .noSuchFileOrDirectory { return [] }
            // In a namespace of another user namespace the file is that user's, and closed to others.
            let advice = error.errno == .permissionDenied ? "; the daemon needs CAP_DAC_READ_SEARCH to read it" : ""
            unreadable.append(
                .init(rules: "iptables-legacy's list of \(version.family.name) tables", reason: "\(error)\(advice)"))
            return []
        }
    }

    private mutating func add(
        _ name: String, _ version: InternetProtocol, _ places: [Redirect.Mechanism: [Hook]]
    ) throws(SystemCallError) {
        let reason: String
        do throws(SystemCallError) {
            switch try Self.read(name, version, places) {
            case .redirects(let found, let rules, let natHooks, let bare, let untracked):
                redirects += found
                untracking += untracked
                bareVerdicts += bare
                for (rule, chain) in rules { nat.add(rule, in: chain, natHooks) }
                return
            case .unreadable(let why): reason = why
            }
        } catch {
            if error.isShortage { throw error }
            // The table has gone since its name was read.
            if error.errno == .noSuchFileOrDirectory { return }
            reason = "\(error)"
        }
        unreadable.append(.init(rules: "\(version.family.name) \(name) (iptables-legacy)", reason: reason))
    }

    private enum Outcome {
        case redirects([Redirect], [(rule: NatRule, chain: ChainName)], Set<Hook>, [BareVerdict], [Untracking])
        case unreadable(String)
    }

    /// The most bytes of a table that are read; a rule has 150 or more.
    package static let maxBytes = 16 << 20
    /// Tables that are larger are read one at a time over all threads, so that they do not add up in memory.
    private static let largeBytes = 1 << 20
    private static let largeTable = Mutex<Void>(())
    /// The number of times that a table may change while it is read.
    static let attempts = 4

    private static func read(
        _ name: String, _ version: InternetProtocol, _ places: [Redirect.Mechanism: [Hook]]
    ) throws(SystemCallError) -> Outcome {
        let descriptor = try socket(version)
        for _ in 0..<attempts {
            let information = try information(of: name, version, by: descriptor)
            let size = Int(information.size)
            if size > maxBytes {
                return .unreadable("it has \(size) bytes of rules, and at most \(maxBytes) are read")
            }
            func judge() throws(SystemCallError) -> Outcome? {
                guard let entries = try entries(of: name, version, size, by: descriptor) else { return nil }
                let table = LegacyTable(
                    name: name, version: version, entries: entries, chains: LegacyTable.Chains(information))
                let found = places.map { table?.redirects($0, at: $1) }
                let untracking = name == "raw" ? table?.untracking() : []
                guard let untracking, !found.contains(where: { $0 == nil }) else {
                    return .unreadable("its rules have an unknown format")
                }
                let rules = places[.nat] == nil ? [] : table?.natRules() ?? []
                let hooks = rules.isEmpty ? [] : table?.natHooks(among: places[.nat] ?? []) ?? []
                let bare = places[.nat].map { table?.bareVerdicts(at: $0) ?? [] } ?? []
                return .redirects(found.compactMap(\.self).flatMap(\.self), rules, hooks, bare, untracking)
            }
            let outcome =
                size > largeBytes
                ? try largeTable.withLock { _ throws(SystemCallError) in try judge() } : try judge()
            if let outcome { return outcome }
        }
        return .unreadable("it has changed \(attempts) times while it was read")
    }

    static func socket(_ version: InternetProtocol) throws(SystemCallError) -> OwnedDescriptor {
        let number = try systemCall("socket for iptables-legacy") {
            Glibc.socket(version.domain, CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        }
        return OwnedDescriptor(adopting: number)
    }

    static func information(
        of table: String, _ version: InternetProtocol, by descriptor: borrowing OwnedDescriptor
    ) throws(SystemCallError) -> ipt_getinfo {
        var information = ipt_getinfo()
        var length = socklen_t(MemoryLayout<ipt_getinfo>.size)
        unsafe withUnsafeMutableBytes(of: &information.name) { unsafe $0.copyBytes(from: table.utf8) }
        let number = descriptor.rawValue
        try systemCall("getsockopt IPT_SO_GET_INFO") {
            unsafe getsockopt(number, version.level, getInformation, &information, &length)
        }
        return information
    }

    /// nil if the table has another size by now.
    static func entries(
        of table: String, _ version: InternetProtocol, _ size: Int, by descriptor: borrowing OwnedDescriptor
    ) throws(SystemCallError) -> ArraySlice<UInt8>? {
        let header = MemoryLayout<ipt_get_entries>.size
        var request = [UInt8](repeating: 0, count: header + size)
        request.replaceSubrange(0..<table.utf8.count, with: table.utf8)
        unsafe withUnsafeBytes(of: UInt32(size)) { unsafe request.replaceSubrange(32..<36, with: $0) }
        var length = socklen_t(request.count)
        let number = descriptor.rawValue
        do {
            try systemCall("getsockopt IPT_SO_GET_ENTRIES") {
                unsafe getsockopt(number, version.level, getEntries, &request, &length)
            }
        } catch {
            if error.errno == .resourceTemporarilyUnavailable || error.errno == .invalidArgument { return nil }
            throw error
        }
        return request[header...]
    }

    /// IPT_SO_GET_INFO and IPT_SO_GET_ENTRIES, the same numbers for both families (linux/netfilter_ipv4/ip_tables.h).
    private static let getInformation: CInt = 64
    private static let getEntries: CInt = 65

    enum InternetProtocol {
        case four, six

        var tableNames: StaticString { self == .four ? "net/ip_tables_names" : "net/ip6_tables_names" }
        var domain: CInt { self == .four ? AF_INET : AF_INET6 }
        var level: CInt { self == .four ? 0 : 41 }  // SOL_IP, SOL_IPV6
        var family: Family { self == .four ? .ip : .ip6 }
        /// Of struct ipt_entry and struct ip6t_entry: where its target's and the next entry's distance stand (__u16).
        var targetOffset: Int { self == .four ? 88 : 140 }
        var nextOffset: Int { targetOffset + 2 }
        /// Of the names of the interfaces that packets come in and leave by (16 bytes each, and the masks behind them), and of
        /// the flags that invert a match.
        var interfaceOffset: Int { self == .four ? 16 : 64 }
        var inversionOffset: Int { self == .four ? 83 : 132 }
        var entrySize: Int { self == .four ? 112 : 168 }
        /// Where an entry has its destination, whose mask stands two addresses later, and its transport (__u16).
        var addresses: (destination: Int, size: Int, transport: Int) {
            self == .four ? (4, 4, 80) : (16, 16, 128)
        }
    }
}

/// Rules of which it is not known whether they take connections to a proxy.
package struct UnreadableRules: Hashable, Sendable {
    /// For people, such as `ip nat (iptables-legacy)`.
    package var rules: String
    package var reason: String

    package init(rules: String, reason: String) {
        self.rules = rules
        self.reason = reason
    }
}

extension LegacyTable.Chains {
    init(_ information: ipt_getinfo) {
        let starts = information.hook_entry
        let ends = information.underflow
        let places: [(Hook, UInt32, UInt32)] = [
            (.prerouting, starts.0, ends.0), (.input, starts.1, ends.1), (.forward, starts.2, ends.2),
            (.output, starts.3, ends.3), (.postrouting, starts.4, ends.4),
        ]
        for (hook, start, end) in places where information.valid_hooks & (1 << hook.rawValue) != 0 {
            self.start[hook] = Int(start)
            self.end[hook] = Int(end)
        }
    }
}
