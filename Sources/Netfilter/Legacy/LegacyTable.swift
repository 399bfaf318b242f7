internal import Linux

/// A table of iptables-legacy as the kernel gives it: entries one after the other, each with matches and one target.
struct LegacyTable {
    /// The starts and ends of the built-in chains, by hook.
    struct Chains {
        var start: [Hook: Int] = [:]
        var end: [Hook: Int] = [:]
    }

    let name: String
    let version: LegacyTables.InternetProtocol
    private let entries: ArraySlice<UInt8>
    let chains: Chains
    /// The last entries of the built-in chains. No packet gets past one.
    private let ends: Set<Int>
    /// The starts of entries.
    private let starts: OffsetSet

    /// nil if `entries` is not a row of whole entries.
    init?(name: String, version: LegacyTables.InternetProtocol, entries: ArraySlice<UInt8>, chains: Chains) {
        self.name = name
        self.version = version
        self.entries = entries
        self.chains = chains
        ends = Set(chains.end.values)
        var starts = OffsetSet(below: entries.count)
        var offset = 0
        while offset < entries.count {
            guard let size = Self.size(of: offset, in: entries, version) else { return nil }
            starts.insert(offset)
            offset += size
        }
        self.starts = starts
    }

    /// nil if a chain begins, or a jump ends, where there is no entry.
    func redirects(_ mechanism: Redirect.Mechanism, at hooks: [Hook]) -> [Redirect]? {
        var found: [Redirect] = []
        for hook in hooks {
            guard let start = chains.start[hook] else { continue }
            var marks = MarkChanges()
            var takesDatagrams = mechanism != .transparentProxy
            func visit(_ offset: Int) {
                if case .marks(let write) = target(of: offset) { marks.insert(write) }
                if natRule(of: offset).transport != NatRule.tcp { takesDatagrams = true }
            }
            guard let sources = sources(of: mechanism, from: start, visit) else { return nil }
            if sources.isEmpty { continue }
            var redirect = Redirect(
                chain: ChainName(version.family, name, hook.chain), backend: .legacy, hook: hook,
                priority: mechanism == .nat ? BaseChain.dstnat : BaseChain.mangle,
                mechanism: mechanism, sources: sources)
            redirect.marks = marks
            redirect.takesDatagrams = takesDatagrams
            found.append(redirect)
        }
        return found
    }

    /// Follows a chain and every chain that it jumps to, and visits no entry twice for packets from the same interface:
    /// jumps can lead into the middle of chains, and there can be as many jumps as entries.
    ///
    /// - Parameters:
    ///   - countingOthers: whether destination nat counts that is certainly not a mesh's.
    ///   - visit: called with each such target that is not for `lo` alone.
    /// - Returns: the interfaces of the packets that reach such a target; nil if a jump leads to no entry.
    func sources(
        of mechanism: Redirect.Mechanism, countingOthers: Bool = false, from start: Int,
        _ visit: (Int) -> Void = { _ in }
    ) -> Redirect.Sources? {
        func isWanted(_ offset: Int, _ target: Target) -> Bool {
            target.mechanism == mechanism && (mechanism != .nat || countingOthers || !natRule(of: offset).isOthers)
        }
        return walk(from: start, where: isWanted, visit: visit)
    }

    /// - Parameters:
    ///   - isWanted: whether an entry is looked for.
    ///   - visit: called with each such entry that is not for `lo` alone.
    func walk(
        from start: Int, where isWanted: (Int, Target) -> Bool, visit: (Int) -> Void
    ) -> Redirect.Sources? {
        var found: Redirect.Sources = []
        /// By the interface.
        var visited = Array(repeating: OffsetSet(below: entries.count), count: 3)
        var waiting = [(offset: start, input: InputInterface.any)]
        while let (first, input) = waiting.popLast() {
            var offset = first
            guard starts.contains(offset) else { return nil }
            walk: while offset < entries.count, visited[Int(input.rawValue)].insert(offset) {
                let passing = input.narrowed(by: self.input(of: offset))
                let target = target(of: offset)
                switch target {
                case _ where isWanted(offset, target):
                    if let passing { found.formUnion(passing.narrowing([.outside, .loopback])) }
                    if let passing, passing != .loopback { visit(offset) }
                // The head of the next user chain: this one ends here.
                case .error: break walk
                case .jump(let destination): if let passing { waiting.append((destination, passing)) }
                case .redirect, .marks, .untracks, .other: break
                }
                if ends.contains(offset) { break }
                offset += size(of: offset)
            }
        }
        return found
    }

    // MARK: entries

    enum Target {
        case redirect(Redirect.Mechanism)
        case marks(MarkWrite)
        case error, untracks, other
        case jump(Int)

        var mechanism: Redirect.Mechanism? {
            switch self {
            case .redirect(let mechanism): mechanism
            case .marks: .mark
            case .error, .untracks, .other, .jump: nil
            }
        }
    }

    func target(of offset: Int) -> Target {
        let target = offset + Int(Self.load(entries, at: offset + version.targetOffset) as UInt16)
        // struct xt_entry_target: size (2), name (29), revision (1), then a standard target's verdict.
        let name = entries[(entries.startIndex + target + 2)...].prefix(29).prefix { $0 != 0 }
        let information = entries[(entries.startIndex + target + 32)..<(entries.startIndex + offset + size(of: offset))]
        switch String(decoding: name, as: UTF8.self) {
        case "REDIRECT", "DNAT": return .redirect(.nat)
        case "TPROXY": return .redirect(.transparentProxy)
        case "ERROR": return .error
        case "":
            // A standard verdict that is not negative is the place of an entry.
            let verdict = Int(Self.load(entries, at: target + 32) as Int32)
            return verdict < 0 ? .other : .jump(verdict)
        case let name where Untracking.isDone(by: name, information): return .untracks
        case let name:
            return MarkTarget.write(name, revision: entries[entries.startIndex + target + 31], information)
                .map { .marks($0) } ?? .other
        }
    }

    /// A rule can name only one of the two where it can take connections: in PREROUTING and in OUTPUT.
    private func input(of offset: Int) -> InputInterface {
        let input = interface(of: offset, at: version.interfaceOffset, inverted: 1)  // IPT_INV_VIA_IN
        return input == .any ? interface(of: offset, at: version.interfaceOffset + 16, inverted: 2) : input
    }

    /// By the name, its mask and the flags of struct ipt_ip or ip6t_ip6.
    private func interface(of offset: Int, at nameOffset: Int, inverted: UInt8) -> InputInterface {
        let start = entries.startIndex + offset
        let name = entries[(start + nameOffset)...].prefix(3)
        let mask = entries[(start + nameOffset + 32)...].prefix(3)
        if entries[start + version.inversionOffset] & inverted != 0 || mask.first == 0 { return .any }
        return name.elementsEqual([0x6c, 0x6f, 0]) && mask.last != 0 ? .loopback : .named
    }

    /// The starts of entries, in their order.
    var offsets: some Sequence<Int> {
        sequence(state: 0) { (next: inout Int) -> Int? in
            let offset = next
            guard offset < entries.count else { return nil }
            next += size(of: offset)
            return offset
        }
    }

    /// Bytes of an entry. What is behind the end of the table is 0.
    func bytes(_ offset: Int, _ count: Int) -> [UInt8] {
        let start = entries.startIndex + offset
        let bytes = entries[min(start, entries.endIndex)...].prefix(max(count, 0))
        return Array(bytes) + Array(repeating: 0, count: max(count, 0) - bytes.count)
    }

    func number<Integer: FixedWidthInteger & BitwiseCopyable>(at offset: Int) -> Integer {
        Self.load(entries, at: offset)
    }

    func targetOffset(of offset: Int) -> Int {
        Int(Self.load(entries, at: offset + version.targetOffset) as UInt16)
    }

    func size(of offset: Int) -> Int {
        Int(Self.load(entries, at: offset + version.nextOffset) as UInt16)
    }

    /// nil where there is no whole entry.
    private static func size(
        of offset: Int, in entries: ArraySlice<UInt8>, _ version: LegacyTables.InternetProtocol
    ) -> Int? {
        guard entries.count - offset >= version.entrySize else { return nil }
        let target = Int(load(entries, at: offset + version.targetOffset) as UInt16)
        let size = Int(load(entries, at: offset + version.nextOffset) as UInt16)
        guard size >= version.entrySize, size.isMultiple(of: OffsetSet.alignment), size <= entries.count - offset,
            target >= version.entrySize, target + 36 <= size
        else { return nil }
        return size
    }

    private static func load<Integer: FixedWidthInteger & BitwiseCopyable>(
        _ entries: ArraySlice<UInt8>, at offset: Int
    ) -> Integer {
        unsafe entries.withUnsafeBytes { unsafe $0.loadUnaligned(fromByteOffset: offset, as: Integer.self) }
    }
}

/// Offsets of entries, with one bit for each place where an entry can begin.
private struct OffsetSet {
    /// Entries begin at multiples of it: of 8 on most machines, of 4 on some.
    static let alignment = 4

    private var words: [UInt64]

    init(below limit: Int) {
        words = Array(repeating: 0, count: limit / (64 * Self.alignment) + 1)
    }

    func contains(_ offset: Int) -> Bool {
        guard offset >= 0, offset.isMultiple(of: Self.alignment) else { return false }
        let place = offset / Self.alignment
        return place / 64 < words.count && words[place / 64] & (1 << (place % 64)) != 0
    }

    /// - Returns: false if it was there already.
    @discardableResult
    mutating func insert(_ offset: Int) -> Bool {
        if contains(offset) { return false }
        words[offset / Self.alignment / 64] |= 1 << (offset / Self.alignment % 64)
        return true
    }
}
