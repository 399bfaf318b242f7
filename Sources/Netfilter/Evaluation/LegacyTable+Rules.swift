internal import CLibnftnl
package import Linux
internal import SystemPackage

extension LegacyTables {
    /// Reads all rules of iptables-legacy of the calling thread's network namespace. Throws only if the daemon has run out
    /// of something.
    package static func filterTables() throws(SystemCallError) -> FilterTables {
        var tables = LegacyTables()
        var found = FilterTables()
        var budget = FilterTables.maxBytes
        for version in [InternetProtocol.four, .six] {
            for line in try tables.names(version).split(separator: 0x0a) {
                let name = String(decoding: line, as: UTF8.self)
                guard let priority = priorities[name] else { continue }
                let reason: String
                do throws(SystemCallError) {
                    let table = try table(name, version, &budget)
                    if let table = table?.filterTable(priority) {
                        found.tables.append(table)
                        continue
                    }
                    reason = "it has too many rules, changes all the time, or has an unknown format"
                } catch {
                    if error.isShortage { throw error }
                    // The table has gone since its name was read.
                    if error.errno == .noSuchFileOrDirectory { continue }
                    reason = "\(error)"
                }
                found.unreadable.append(
                    .init(rules: "\(version.family.name) \(name) (iptables-legacy)", reason: reason))
            }
        }
        found.unreadable += tables.unreadable
        return found
    }

    /// NF_IP_PRI_* of linux/netfilter_ipv4.h, for PREROUTING and OUTPUT.
    private static let priorities: [String: Int32] = [
        "raw": -300, "mangle": BaseChain.mangle, "nat": BaseChain.dstnat, "filter": 0, "security": 50,
    ]

    /// nil if it is too large, or has another size each time.
    private static func table(
        _ name: String, _ version: InternetProtocol, _ budget: inout Int
    ) throws(SystemCallError) -> LegacyTable? {
        let descriptor = try socket(version)
        for _ in 0..<attempts {
            let information = try information(of: name, version, by: descriptor)
            let size = Int(information.size)
            if size > budget { return nil }
            guard let entries = try entries(of: name, version, size, by: descriptor) else { continue }
            budget -= size
            return LegacyTable(
                name: name, version: version, entries: entries, chains: LegacyTable.Chains(information))
        }
        return nil
    }
}

extension LegacyTable {
    /// The same as rules in chains; nil if a chain begins, or a jump ends, in the middle of another.
    ///
    /// - Parameter priority: of its chains.
    func filterTable(_ priority: Int32) -> FilterTable? {
        var table = FilterTable(family: version.family, name: name, backend: .legacy)
        // The chain of each entry: built-in ones have a start and an end, the user's stand behind their head.
        let bases = Dictionary(chains.start.map { ($0.value, $0.key) }, uniquingKeysWith: { first, _ in first })
        var starts: [Int: String] = [:]
        let offsets = offsets
        guard Set(bases.keys).isSubset(of: offsets) else { return nil }
        for (offset, hook) in bases { starts[offset] = hook.chain }
        for offset in offsets { if let name = headName(of: offset) { starts[offset + size(of: offset)] = name } }
        var current: String?
        for offset in offsets {
            if let name = starts[offset] {
                current = name
                table.chains[name] = FilterChain(base: bases[offset].map { base(of: $0, priority) })
            }
            guard let name = current, headName(of: offset) == nil else {
                current = nil
                continue
            }
            if let hook = bases.values.first(where: { chains.end[$0] == offset && $0.chain == name }) {
                // The policy: the last entry of a built-in chain. No packet gets past it.
                table.chains[hook.chain]?.accepts = verdictNumber(of: offset) == -2
                current = nil
                continue
            }
            guard let rule = rule(at: offset, starts) else { return nil }
            table.chains[name]?.rules.append(rule)
        }
        return table
    }

    private func base(of hook: Hook, _ priority: Int32) -> BaseChain {
        let isSource = hook == .postrouting || hook == .input
        let isRouted = name == "mangle" && hook == .output
        return BaseChain(
            type: name == "nat" ? "nat" : isRouted ? "route" : "filter", hook: hook,
            priority: name == "nat" && isSource ? -priority : priority)
    }

    private func rule(at offset: Int, _ starts: [Int: String]) -> FilterRule? {
        var parts: [RulePart] = [.legacyHeader(bytes(offset, version.headerSize))]
        let target = offset + targetOffset(of: offset)
        // struct xt_entry_match: size (2), name (29), revision (1), then the match's own block.
        var place = offset + version.entrySize
        while place < target {
            let size = Int(number(at: place) as UInt16)
            guard size >= 32, place + size <= target else { return nil }
            parts.append(
                .match(text(at: place + 2), revision: UInt32(byte(at: place + 31)), bytes(place + 32, size - 32)))
            place += size
        }
        let targetSize = offset + size(of: offset) - target
        let name = text(at: target + 2)
        if !name.isEmpty {
            parts.append(.target(name, revision: UInt32(byte(at: target + 31)), bytes(target + 32, targetSize - 32)))
            return FilterRule(handle: nil, parts: parts)
        }
        let number = verdictNumber(of: offset)
        switch number {
        case -1: parts.append(.verdict(.drop))
        case -2: parts.append(.verdict(.accept))
        case -5: parts.append(.verdict(.returnToCaller))
        case 0...:
            // A rule without a target: its verdict is the next entry.
            if Int(number) == offset + size(of: offset) { break }
            guard let chain = starts[Int(number)] else { return nil }
            let isGoto = byte(at: offset + version.flagsOffset) & version.gotoFlag != 0
            parts.append(.verdict(isGoto ? .goto(chain) : .jump(chain)))
        default: parts.append(.verdict(.unknown("a verdict \(number)")))
        }
        return FilterRule(handle: nil, parts: parts)
    }

    /// The name of the user's chain that begins behind this entry; nil if no chain begins there.
    func headName(of offset: Int) -> String? {
        let target = offset + targetOffset(of: offset)
        return text(at: target + 2) == "ERROR" ? text(at: target + 32) : nil
    }

    func verdictNumber(of offset: Int) -> Int32 { number(at: offset + targetOffset(of: offset) + 32) }

    func text(at offset: Int) -> String {
        String(decoding: bytes(offset, 29).prefix { $0 != 0 }, as: UTF8.self)
    }

    private func byte(at offset: Int) -> UInt8 { bytes(offset, 1)[0] }
}

extension LegacyTables.InternetProtocol {
    /// Bytes of struct ipt_ip and struct ip6t_ip6.
    var headerSize: Int { self == .four ? 84 : 136 }
    fileprivate var flagsOffset: Int { self == .four ? 82 : 131 }
    /// IPT_F_GOTO and IP6T_F_GOTO.
    fileprivate var gotoFlag: UInt8 { self == .four ? 0x02 : 0x04 }
}
