internal import CLibnftnl
internal import Glibc
package import Linux
internal import SystemPackage

/// What iptables-legacy has put into a namespace: x_tables' own tables, which nf_tables knows nothing of.
package enum LegacyTables {
    /// The interceptions in the legacy tables of the calling thread's network namespace.
    ///
    /// Reads only tables that are there: asking x_tables for a table makes it.
    package static func redirects() throws(SystemCallError) -> [Redirect] {
        var found: [Redirect] = []
        for version in [InternetProtocol.four, .six] {
            for name in try tableNames(version).split(separator: 0x0a) {
                switch String(decoding: name, as: UTF8.self) {
                case "nat":
                    found += try blob("nat", version)?.redirects(.nat, at: [.prerouting, .output]) ?? []
                case "mangle":
                    found += try blob("mangle", version)?.redirects(.transparentProxy, at: [.prerouting]) ?? []
                default: break
                }
            }
        }
        return found
    }

    /// The file with the names of the tables that there are. Without one, x_tables is not in this kernel, or not loaded.
    private static func tableNames(_ version: InternetProtocol) throws(SystemCallError) -> [UInt8] {
        do throws(SystemCallError) {
            return try Files.read(ofThread: version.tableNames)
        } catch {
            if error.isShortage { throw error }
            return []
        }
    }

    /// nil if the table has changed while it was read, four times in a row, or cannot be read at all.
    private static func blob(_ table: String, _ version: InternetProtocol) throws(SystemCallError) -> LegacyTable? {
        let number = try systemCall("socket for iptables-legacy") {
            socket(version.domain, CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        }
        let descriptor = OwnedDescriptor(adopting: number)
        for _ in 0..<4 {
            var information = ipt_getinfo()
            var length = socklen_t(MemoryLayout<ipt_getinfo>.size)
            unsafe withUnsafeMutableBytes(of: &information.name) { unsafe $0.copyBytes(from: table.utf8) }
            try systemCall("getsockopt IPT_SO_GET_INFO") {
                unsafe getsockopt(descriptor.rawValue, version.level, getInformation, &information, &length)
            }
            let header = MemoryLayout<ipt_get_entries>.size
            var request = [UInt8](repeating: 0, count: header + Int(information.size))
            request.replaceSubrange(0..<table.utf8.count, with: table.utf8)
            unsafe withUnsafeBytes(of: information.size) {
                unsafe request.replaceSubrange(32..<36, with: $0)
            }
            length = socklen_t(request.count)
            do {
                try systemCall("getsockopt IPT_SO_GET_ENTRIES") {
                    unsafe getsockopt(descriptor.rawValue, version.level, getEntries, &request, &length)
                }
            } catch {
                // The size is no longer the table's.
                if error.errno == .resourceTemporarilyUnavailable || error.errno == .invalidArgument { continue }
                throw error
            }
            return LegacyTable(
                name: table, version: version, entries: Array(request.dropFirst(header)),
                chains: LegacyTable.Chains(information))
        }
        return nil
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
        var entrySize: Int { self == .four ? 112 : 168 }
    }
}

/// A legacy table as the kernel gives it: entries behind each other, each with matches and one target.
struct LegacyTable {
    /// Where the built-in chains begin and end, by hook.
    struct Chains {
        var start: [Hook: Int] = [:]
        var end: [Hook: Int] = [:]
    }

    var name: String
    var version: LegacyTables.InternetProtocol
    var entries: [UInt8]
    var chains: Chains

    func redirects(_ mechanism: Redirect.Mechanism, at hooks: [Hook]) -> [Redirect] {
        hooks.filter { reaches(mechanism, from: $0) }.map { hook in
            Redirect(
                chain: ChainName(version.family, name, hook.chain), backend: .legacy, hook: hook,
                priority: mechanism == .nat ? BaseChain.dstnat : -150,  // NF_IP_PRI_MANGLE
                mechanism: mechanism)
        }
    }

    /// Follows the entries of a built-in chain and every chain that it jumps to.
    private func reaches(_ mechanism: Redirect.Mechanism, from hook: Hook) -> Bool {
        guard let start = chains.start[hook], let end = chains.end[hook] else { return false }
        var seen: Set<Int> = [start]
        var waiting = [(start, end)]
        while var (offset, end) = waiting.popLast() {
            while offset <= end, let entry = entry(at: offset) {
                switch entry.target {
                case "REDIRECT", "DNAT": if mechanism == .nat { return true }
                case "TPROXY": if mechanism == .transparentProxy { return true }
                // The head of the next user chain: this one ends here.
                case "ERROR": end = -1
                // A standard verdict that is not negative is the place of a chain.
                case "" where entry.verdict >= 0 && entry.verdict != entry.next:
                    if seen.insert(entry.verdict).inserted { waiting.append((entry.verdict, entries.count)) }
                default: break
                }
                offset = entry.next
            }
        }
        return false
    }

    /// nil where there is no whole entry.
    private func entry(at offset: Int) -> (target: String, verdict: Int, next: Int)? {
        guard offset >= 0, offset + version.entrySize <= entries.count else { return nil }
        let target = offset + uint16(at: offset + version.targetOffset)
        let size = uint16(at: offset + version.nextOffset)
        // struct xt_entry_target: size (2), name (29), revision (1), then a standard target's verdict.
        guard size >= version.entrySize, offset + size <= entries.count, target + 36 <= offset + size else {
            return nil
        }
        let name = entries[target + 2..<target + 31].prefix { $0 != 0 }
        return (String(decoding: name, as: UTF8.self), Int(Int32(bitPattern: load(at: target + 32))), offset + size)
    }

    private func uint16(at offset: Int) -> Int {
        Int(load(at: offset) as UInt16)
    }

    private func load<Integer: FixedWidthInteger & BitwiseCopyable>(at offset: Int) -> Integer {
        unsafe entries.withUnsafeBytes { unsafe $0.loadUnaligned(fromByteOffset: offset, as: Integer.self) }
    }
}

extension LegacyTable.Chains {
    fileprivate init(_ information: ipt_getinfo) {
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
