internal import CLibnftnl

/// A rule at the head of one of iptables' nat chains that ends the chain for every packet: `-j RETURN` or `-j ACCEPT`, with
/// neither a condition nor a comment. Redirects after it in the chain have no effect.
package struct BareVerdict: Hashable, Sendable {
    package enum Verdict: Hashable, Sendable {
        case returnToCaller, accept
    }

    package var chain: ChainName
    package var verdict: Verdict
    /// By which nf_tables knows the rule; nil in iptables-legacy, whose rules have no handles.
    package var handle: UInt64?

    /// Of a chain so many are kept.
    static let maxOfChain = 16
}

extension BareVerdict.Verdict {
    /// nil if the rule has any other expression than counters and the verdict.
    init?(_ expressions: [Ruleset.Expression]) {
        let others = expressions.filter { if case .counter = $0 { false } else { true } }
        switch others {
        case [.returnVerdict]: self = .returnToCaller
        case [.acceptVerdict]: self = .accept
        default: return nil
        }
    }
}

extension Attribute {
    /// Of NFTA_RULE_USERDATA: whether a comment is among it. Each part of it has a byte for its type and one for its length;
    /// what is not understood may be one.
    var hasComment: Bool {
        var rest = bytes[...]
        while let type = rest.first, let length = rest.dropFirst().first {
            if type == UInt8(NFTNL_UDATA_RULE_COMMENT.rawValue) { return true }
            rest = rest.dropFirst(2 + Int(length))
        }
        return !rest.isEmpty
    }
}

extension LegacyTable {
    /// Those in front of a redirect at these hooks.
    func bareVerdicts(at hooks: [Hook]) -> [BareVerdict] {
        hooks.flatMap { hook -> [BareVerdict] in
            guard let start = chains.start[hook], sources(of: .nat, from: start)?.isEmpty == false else { return [] }
            var found: [BareVerdict] = []
            var offset = start
            // The last entry of a chain is its policy.
            while offset != chains.end[hook], found.count < BareVerdict.maxOfChain,
                let verdict = bareVerdict(of: offset)
            {
                found.append(BareVerdict(chain: ChainName(version.family, name, hook.chain), verdict: verdict))
                offset += size(of: offset)
            }
            return found
        }
    }

    /// nil for a rule with a condition, a comment, or another verdict.
    private func bareVerdict(of offset: Int) -> BareVerdict.Verdict? {
        guard targetOffset(of: offset) == version.entrySize,
            bytes(offset, version.headerSize).allSatisfy({ $0 == 0 }),
            text(at: offset + version.entrySize + 2).isEmpty
        else { return nil }
        switch verdictNumber(of: offset) {
        case -5: return .returnToCaller
        case -2: return .accept
        default: return nil
        }
    }
}
