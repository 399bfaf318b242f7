internal import CLibnftnl

/// The kernel's report about a traced packet at one rule, or at the end of a base chain.
package struct TraceMessage: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        case rule
        /// No rule of the chain has decided. Of a base chain, its policy follows.
        case end
        case policy
    }

    /// The packet's number.
    var id: UInt32
    var kind: Kind
    var chain: ChainName
    /// Of a rule.
    var handle: UInt64?
    var verdict: Verdict?
    /// The IP header and the beginning of the transport header, as they are in this chain: with its first message only.
    var network: [UInt8]?
    var segment: [UInt8]?
    /// nil for 0, which the kernel leaves out.
    var mark: UInt32?
    /// The interfaces by which the packet came in and goes out: with the chain's first message only, where there are any.
    var input: UInt32?
    var output: UInt32?
}

extension NetlinkMessage {
    var traceMessage: TraceMessage? {
        guard type == MessageType.trace, let family else { return nil }
        var (kind, id): (UInt32?, UInt32?)
        var message = TraceMessage(id: 0, kind: .rule, chain: ChainName(family, "", ""))
        for attribute in attributes {
            switch attribute.type {
            case CInt(NFTA_TRACE_ID.rawValue): id = attribute.uint32
            case CInt(NFTA_TRACE_TYPE.rawValue): kind = attribute.uint32
            case CInt(NFTA_TRACE_TABLE.rawValue): message.chain.table = attribute.string
            case CInt(NFTA_TRACE_CHAIN.rawValue): message.chain.chain = attribute.string
            case CInt(NFTA_TRACE_RULE_HANDLE.rawValue): message.handle = attribute.uint64
            case CInt(NFTA_TRACE_VERDICT.rawValue): message.verdict = attribute.verdict
            case CInt(NFTA_TRACE_POLICY.rawValue): message.verdict = attribute.uint32 == 0 ? .drop : .accept
            case CInt(NFTA_TRACE_NETWORK_HEADER.rawValue): message.network = attribute.bytes
            case CInt(NFTA_TRACE_TRANSPORT_HEADER.rawValue): message.segment = attribute.bytes
            case CInt(NFTA_TRACE_MARK.rawValue): message.mark = attribute.uint32
            case CInt(NFTA_TRACE_IIF.rawValue): message.input = attribute.uint32
            case CInt(NFTA_TRACE_OIF.rawValue): message.output = attribute.uint32
            default: break
            }
        }
        guard let id else { return nil }
        message.id = id
        switch kind {
        case NFT_TRACETYPE_POLICY.rawValue: message.kind = .policy
        case NFT_TRACETYPE_RULE.rawValue where message.handle != nil: message.kind = .rule
        // The kernel calls it a rule, but it is none.
        case NFT_TRACETYPE_RULE.rawValue, NFT_TRACETYPE_RETURN.rawValue: message.kind = .end
        default: return nil
        }
        return message
    }
}
