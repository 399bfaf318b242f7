@testable internal import Netfilter

/// What a pod has put into a table of iptables-legacy.
///
/// The first byte of an input says for which family. The places of two chains follow, in two bytes each, then the entries.
public enum LegacyEntries {
    public static func check(_ input: [UInt8]) throws(BrokenPromise) {
        guard input.count >= 9 else { return }
        let version: LegacyTables.InternetProtocol = input[0].isMultiple(of: 2) ? .four : .six
        let places = stride(from: 1, to: 9, by: 2).map { Int(input[$0]) | Int(input[$0 + 1]) << 8 }
        var chains = LegacyTable.Chains()
        (chains.start[.output], chains.end[.output]) = (places[0], places[1])
        (chains.start[.prerouting], chains.end[.prerouting]) = (places[2], places[3])
        let entries = input[9...]
        guard let table = LegacyTable(name: "nat", version: version, entries: entries, chains: chains) else { return }
        let targets = ["REDIRECT", "DNAT"].filter { entries.contains($0) }
        let found = table.redirects(.nat, at: [.prerouting, .output])
        try promise(found?.isEmpty != false || !targets.isEmpty, "a redirect where there is none: \(input)")
        if let filter = table.filterTable(-100) { Ways.follow([filter]) }
        _ = table.redirects(.transparentProxy, at: [.prerouting])
    }
}

extension ArraySlice<UInt8> {
    fileprivate func contains(_ word: String) -> Bool {
        indices.contains { self[$0...].starts(with: word.utf8) }
    }
}
