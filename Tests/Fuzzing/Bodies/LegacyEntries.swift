@testable internal import Netfilter

/// A table of iptables-legacy: the places of two chains, in two bytes each, then the entries.
enum LegacyEntries {
    static func check(_ input: [UInt8], _ version: LegacyTables.InternetProtocol) {
        guard input.count >= 8 else { return }
        let places = stride(from: 0, to: 8, by: 2).map { Int(input[$0]) | Int(input[$0 + 1]) << 8 }
        var chains = LegacyTable.Chains()
        (chains.start[.output], chains.end[.output]) = (places[0], places[1])
        (chains.start[.prerouting], chains.end[.prerouting]) = (places[2], places[3])
        let table = LegacyTable(name: "nat", version: version, entries: Array(input[8...]), chains: chains)
        _ = table.redirects(.nat, at: [.prerouting, .output])
        _ = table.redirects(.transparentProxy, at: [.prerouting])
    }
}
