import Testing

@testable import Netfilter

@Suite struct LegacyTableTests {
    typealias Version = LegacyTables.InternetProtocol

    /// A table as x_tables gives it, made by hand.
    private struct Blob {
        var version: Version
        var bytes: [UInt8] = []
        private var header: Int { version == .four ? 112 : 168 }

        init(_ version: Version) {
            self.version = version
        }

        /// The size of an entry with a standard target.
        var standard: Int { header + 40 }

        /// Adds an entry; what it returns is its offset. The verdict stands where a standard target has it.
        @discardableResult
        mutating func add(_ target: String, verdict: Int32 = 0, size: Int = 40) -> Int {
            let offset = bytes.count
            var entry = [UInt8](repeating: 0, count: header + size)
            let field = version == .four ? 88 : 140
            entry.replaceSubrange(field..<field + 2, with: Reply.little(UInt16(header)))
            entry.replaceSubrange(field + 2..<field + 4, with: Reply.little(UInt16(header + size)))
            entry.replaceSubrange(header..<header + 2, with: Reply.little(UInt16(size)))
            entry.replaceSubrange(header + 2..<header + 2 + target.utf8.count, with: target.utf8)
            entry.replaceSubrange(header + 32..<header + 36, with: Reply.little(verdict))
            bytes += entry
            return offset
        }

        func table(_ name: String = "nat", output: ClosedRange<Int>, prerouting: ClosedRange<Int>? = nil) -> Table {
            var chains = LegacyTable.Chains()
            chains.start[.output] = output.lowerBound
            chains.end[.output] = output.upperBound
            chains.start[.prerouting] = prerouting?.lowerBound
            chains.end[.prerouting] = prerouting?.upperBound
            return Table(name: name, version: version, entries: bytes, chains: chains)
        }
    }

    private struct Table {
        var name: String
        var version: Version
        var entries: [UInt8]
        var chains: LegacyTable.Chains

        /// nil where they cannot be known.
        func redirects(_ mechanism: Redirect.Mechanism, at hooks: [Hook]) -> [Redirect]? {
            LegacyTable(name: name, version: version, entries: entries[...], chains: chains)?
                .redirects(mechanism, at: hooks)
        }
    }

    /// OUTPUT: jump to a chain of the user's, accept. PREROUTING: accept. The chain: its head, redirect, return.
    private func istio(_ version: Version, target: String = "REDIRECT", jumps: Bool = true) -> Table {
        var blob = Blob(version)
        let prerouting = blob.add("", verdict: -2)
        let chain = 4 * blob.standard + 24
        let output = blob.add("", verdict: jumps ? Int32(chain) : -2)
        let policy = blob.add("", verdict: -2)
        blob.add("ERROR", size: 64)
        precondition(blob.add(target, size: 56) == chain)
        blob.add("", verdict: -5)
        blob.add("ERROR", size: 64)
        return blob.table(output: output...policy, prerouting: prerouting...prerouting)
    }

    @Test(
        "A redirect in a chain that OUTPUT jumps to is OUTPUT's", arguments: [Version.four, .six], ["REDIRECT", "DNAT"])
    func jump(_ version: Version, _ target: String) {
        let found = istio(version, target: target).redirects(.nat, at: [.prerouting, .output])
        #expect(
            found == [
                Redirect(
                    chain: ChainName(version.family, "nat", "OUTPUT"), backend: .legacy, hook: .output,
                    priority: -100, mechanism: .nat)
            ])
    }

    @Test("A redirect in a chain that nothing jumps to does not count", arguments: [Version.four, .six])
    func unreachable(_ version: Version) {
        #expect(istio(version, jumps: false).redirects(.nat, at: [.prerouting, .output]) == [])
    }

    @Test("A redirect in the built-in chain itself, up to its policy and no further")
    func builtIn() {
        var blob = Blob(.four)
        let prerouting = blob.add("", verdict: -2)
        let output = blob.add("REDIRECT", size: 56)
        let policy = blob.add("", verdict: -2)
        let table = blob.table(output: output...policy, prerouting: prerouting...prerouting)
        #expect(table.redirects(.nat, at: [.prerouting, .output])?.map(\.hook) == [.output])
        #expect(table.redirects(.transparentProxy, at: [.output]) == [])
    }

    @Test("TPROXY is looked for in mangle's PREROUTING")
    func transparentProxy() {
        var blob = Blob(.six)
        let start = blob.add("TPROXY", size: 64)
        let end = blob.add("", verdict: -2)
        let found = blob.table("mangle", output: end...end, prerouting: start...end)
            .redirects(.transparentProxy, at: [.prerouting])
        #expect(found?.map(\.chain) == [ChainName(.ip6, "mangle", "PREROUTING")])
        #expect(found?.map(\.priority) == [-150])
        // A rule for no protocol there is none; it may be for any.
        #expect(found?.map(\.takesDatagrams) == [true])
    }

    @Test("Whether TPROXY takes more than TCP is known", arguments: [Version.four, .six])
    func transports(_ version: Version) {
        let samples: [([UInt8], Bool, Bool)] = [([6], false, false), ([6, 17], false, true), ([6], true, true)]
        for (transports, isInverted, takesDatagrams) in samples {
            var blob = Blob(version)
            for transport in transports {
                let entry = blob.add("TPROXY", size: 64)
                blob.bytes[entry + version.addresses.transport] = transport
                if isInverted { blob.bytes[entry + version.inversionOffset] = 0x40 }
            }
            let end = blob.add("", verdict: -2)
            let found = blob.table("mangle", output: end...end, prerouting: 0...end)
                .redirects(.transparentProxy, at: [.prerouting])
            #expect(found?.map(\.takesDatagrams) == [takesDatagrams])
        }
    }

    @Test("A jump to itself, or back, ends", .timeLimit(.minutes(1)))
    func circles() {
        for verdict in [0, 152, 304] as [Int32] {
            var blob = Blob(.four)
            blob.add("", verdict: verdict)
            blob.add("", verdict: 0)
            let end = blob.add("", verdict: -2)
            #expect(blob.table(output: 0...end).redirects(.nat, at: [.output]) == [])
        }
    }

    @Test("Any byte may lie: nothing traps, and it ends", .timeLimit(.minutes(1)), arguments: [Version.four, .six])
    func hostile(_ version: Version) {
        let table = istio(version)
        for index in table.entries.indices {
            for value: UInt8 in [0, 1, 0x70, 0x7f, 0x80, 0xff] {
                var copy = table
                copy.entries[index] = value
                #expect(copy.redirects(.nat, at: [.prerouting, .output])?.count ?? 0 <= 2)
            }
        }
        for length in 0..<table.entries.count {
            var copy = table
            copy.entries = Array(table.entries.prefix(length))
            let isWhole = length.isMultiple(of: Blob(version).standard) && length <= 3 * Blob(version).standard
            if isWhole { continue }
            #expect(copy.redirects(.nat, at: [.output])?.isEmpty != true, "\(length) bytes hide nothing")
        }
    }

    @Test(
        "Where a chain or a jump leads to no entry, nothing is known",
        arguments: [-1, 1, 151, 1_000_000, Int(UInt32.max)])
    func hostilePlaces(_ offset: Int) {
        var table = istio(.four)
        table.chains.start[.output] = offset
        #expect(table.redirects(.nat, at: [.output]) == nil)
        #expect(table.redirects(.nat, at: [.prerouting]) == [])
        table.chains.end[.output] = offset
        #expect(table.redirects(.nat, at: [.output]) == nil)
        guard let verdict = Int32(exactly: offset), verdict >= 0 else { return }
        var blob = Blob(.four)
        blob.add("", verdict: verdict)
        let end = blob.add("", verdict: -2)
        #expect(blob.table(output: 0...end).redirects(.nat, at: [.output]) == nil)
    }

    /// Each jump leads into the middle of the same long chain: a walk that followed each to the end would visit
    /// 5,000,000,000 entries. Twenty times the entries may take fifty times the time, on a busy machine.
    @Test("The walk is linear in the entries", .timeLimit(.minutes(1)))
    func linear() {
        func time(_ count: Int) -> Duration {
            var blob = Blob(.four)
            let (chain, size) = ((count + 1) * blob.standard, blob.standard)
            for index in 0..<count { blob.add("", verdict: Int32(chain + index * size)) }
            let policy = blob.add("", verdict: -2)
            for _ in 0..<count { blob.add("", verdict: -5) }
            let table = blob.table(output: 0...policy)
            return ContinuousClock().measure { #expect(table.redirects(.nat, at: [.output]) == []) }
        }
        let short = time(5_000)
        let long = time(100_000)
        #expect(long < short * 50 && long < .seconds(20), "\(short), \(long)")
    }
}
