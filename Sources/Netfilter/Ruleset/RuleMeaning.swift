internal import CLibnftnl

/// The state of a rule's expressions that the next one depends on.
struct RuleMeaning {
    /// The interface that packets have to come in by, or to leave by.
    private(set) var input = InputInterface.any
    /// The transport protocol that packets have to have; nil if that is not known.
    private(set) var transport: UInt8?
    /// The register that holds a packet's.
    private var transportRegister: UInt32?
    /// The approximate content of the register.
    private var loaded: Ruleset.Expression.Loaded?
    /// What has been done to that number; nil if that is not known.
    private var change: MarkChange?

    mutating func add(_ expression: Ruleset.Expression, _ element: Attribute) {
        switch expression {
        case .loads(let what):
            (loaded, change) = (what, element.loadedNumber(what))
            transportRegister = what == .transport ? element.register(NFTA_META_DREG.rawValue) : nil
        case .comparison(let isEqual):
            if loaded == .interface, isEqual { input = element.isLoopback ? .loopback : .named }
            if let transportRegister, isEqual, element.register(NFTA_CMP_SREG.rawValue) == transportRegister {
                transport = element.comparedByte
            }
            (loaded, change, transportRegister) = (nil, nil, nil)
        // Whatever it is, it may have changed the register.
        case .other:
            if change != nil { change = element.bitwise.flatMap { change?.followed(by: $0) } }
            transportRegister = nil
        default: break
        }
    }

    /// What is written into a mark; nil if that is only what a new connection's packet has already. A connection has a mark
    /// only if a rule has given it one, and a new connection not even then.
    func write(to mark: Ruleset.Expression.Mark) -> MarkWrite? {
        var written: MarkChange
        switch (loaded, change) {
        case (.mark(mark), let change?): written = change
        case (.mark, let change?): written = MarkChange(value: change.value)
        case (.constant, let change?): written = change
        // Copied, with bits in other places.
        case (.mark(let other), nil) where other != mark: return nil
        default: return .unknown
        }
        if written.value == 0 { return nil }
        return mark == .packet ? .packet(written) : .connection(written)
    }
}

extension Attribute {
    /// Of an element of NFTA_RULE_EXPRESSIONS that loads a register: the number, or the mark as it is.
    fileprivate func loadedNumber(_ what: Ruleset.Expression.Loaded) -> MarkChange? {
        switch what {
        case .interface, .transport: return nil
        case .mark: return .identity
        case .constant:
            let data = first(NFTA_EXPR_DATA.rawValue)?.first(NFTA_IMMEDIATE_DATA.rawValue)
            return data?.first(NFTA_DATA_VALUE.rawValue)?.hostUInt32.map { MarkChange(value: $0) }
        }
    }

    /// Of an element of NFTA_RULE_EXPRESSIONS: the number in this attribute.
    fileprivate func register(_ attribute: UInt32) -> UInt32? {
        first(NFTA_EXPR_DATA.rawValue)?.first(attribute)?.uint32
    }

    /// Of a comparison: the byte that is compared with.
    fileprivate var comparedByte: UInt8? {
        first(NFTA_EXPR_DATA.rawValue)?.first(NFTA_CMP_DATA.rawValue)?.first(NFTA_DATA_VALUE.rawValue)?.uint8
    }

    /// Of an element of NFTA_RULE_EXPRESSIONS: what it does to the register; nil if it is not a `bitwise` with a mask.
    fileprivate var bitwise: MarkChange? {
        guard first(NFTA_EXPR_NAME.rawValue)?.isString("bitwise") == true, let data = first(NFTA_EXPR_DATA.rawValue),
            data.first(NFTA_BITWISE_OP.rawValue)?.uint32 ?? Self.maskAndXor == Self.maskAndXor,
            let mask = data.first(NFTA_BITWISE_MASK.rawValue)?.first(NFTA_DATA_VALUE.rawValue)?.hostUInt32,
            let value = data.first(NFTA_BITWISE_XOR.rawValue)?.first(NFTA_DATA_VALUE.rawValue)?.hostUInt32
        else { return nil }
        return MarkChange(value: value, mask: ~mask)
    }
}
