/// Tables of rules as they are evaluated: of nf_tables and of iptables-legacy alike.
package struct FilterTable: Sendable {
    package var family: Family
    package var name: String
    package var backend: Redirect.Backend
    package var chains: [String: FilterChain] = [:]
    /// By name; nil if it could not be read.
    var sets: [String: FilterSet?] = [:]

    package init(family: Family, name: String, backend: Redirect.Backend) {
        self.family = family
        self.name = name
        self.backend = backend
    }
}

package struct FilterChain: Sendable {
    /// nil for a chain that is only jumped to.
    package var base: BaseChain?
    /// The treatment of a packet at the end of a base chain.
    package var accepts = true
    package var rules: [FilterRule] = []

    package init(base: BaseChain? = nil) {
        self.base = base
    }
}

package struct FilterRule: Sendable {
    /// nil in iptables-legacy, where rules have none.
    package var handle: UInt64?
    /// In their order. A rule ends at the first condition that is not met.
    var parts: [RulePart]
}

/// One expression of nf_tables, or one match or target of x_tables.
enum RulePart: Hashable, Sendable {
    enum Comparison: UInt32, Hashable, Sendable {
        case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual
    }

    enum Header: Hashable, Sendable { case network, transport }

    /// Reads so many bytes of a header into the registers.
    case loadHeader(Header, offset: Int, count: Int, into: Int)
    /// NFT_META_* of linux/netfilter/nf_tables.h.
    case loadMeta(UInt32, into: Int)
    /// NFT_CT_* of linux/netfilter/nf_tables.h.
    case loadConntrack(UInt32, into: Int)
    /// `fib daddr type` and `fib saddr type`.
    case loadAddressType(ofDestination: Bool, into: Int)
    /// Reads something that is not known here.
    case loadUnknown(into: Int)
    case loadConstant([UInt8], into: Int)
    case compare(Int, Comparison, [UInt8])
    case isInRange(Int, from: [UInt8], to: [UInt8], inverted: Bool)
    case bitwise(from: Int, into: Int, mask: [UInt8], xor: [UInt8])
    /// Looks the registers up in a set, or a map: what is found is written to `into`, or is the verdict.
    case lookUp(set: String, Int, into: Int?, isVerdict: Bool, inverted: Bool)
    case writeHeader(Header, offset: Int, count: Int, from: Int)
    case setMark(from: Int)
    case setConnectionMark(from: Int)
    /// A match of x_tables.
    case match(String, revision: UInt32, [UInt8])
    /// A target of x_tables.
    case target(String, revision: UInt32, [UInt8])
    /// Addresses, interfaces and protocol of a rule of iptables-legacy: struct ipt_ip or struct ip6t_ip6.
    case legacyHeader([UInt8])
    case verdict(Verdict)
    /// Destination nat to what the registers hold; nil keeps the packet's own.
    case destinationNat(address: Int?, port: Int?)
    case redirect(port: Int?)
    case transparentProxy(port: Int?)
    case exceptFromConntrack
    /// Whether it is met is not known before the packet is there.
    case openCondition
    /// Counts, logs, or does something else that neither ends the rule nor changes the packet's way.
    case nothing
    /// An expression of this name, which may do anything.
    case unknown(String)
}

/// The decision of a rule.
enum Verdict: Hashable, Sendable {
    case accept, drop, returnToCaller
    case jump(String)
    case goto(String)
    /// A new destination; nil keeps the packet's own.
    case destinationNat(address: [UInt8?]?, port: UInt16?, isRedirect: Bool)
    /// Source nat: the packet's destination stays.
    case sourceNat
    case transparentProxy(port: UInt16?)
    /// It is not known what becomes of the packet.
    case unknown(String)
}

/// A set or map of nf_tables.
struct FilterSet: Hashable, Sendable {
    struct Element: Hashable, Sendable {
        var key: [UInt8]
        /// The end of an interval, which does not belong to it.
        var isEnd = false
        var data: [UInt8]?
        var verdict: Verdict?
    }

    /// NFT_SET_INTERVAL.
    var isInterval = false
    /// NFT_SET_CONCAT.
    var isConcatenation = false
    /// Sorted by their keys; ends before beginnings.
    var elements: [Element] = []
    /// Stands for all keys that are not in the set.
    var catchAll: Element?

    /// Elements that are read of a set.
    static let maxElements = 4096

    mutating func sort() {
        elements.sort { a, b in
            a.key == b.key ? a.isEnd && !b.isEnd : a.key.lexicographicallyPrecedes(b.key)
        }
    }

    /// The element for a key; nil if there is none. Throws if that cannot be known.
    func find(_ key: [UInt8?]) throws(NotKnown) -> Element? {
        let known = key.compactMap(\.self)
        guard known.count == key.count, !(isInterval && isConcatenation) else { throw NotKnown() }
        // The last that is not after the key.
        var (low, high) = (0, elements.count)
        while low < high {
            let middle = (low + high) / 2
            if known.lexicographicallyPrecedes(elements[middle].key) { high = middle } else { low = middle + 1 }
        }
        guard low > 0, !elements[low - 1].isEnd, isInterval || elements[low - 1].key == known else { return catchAll }
        return elements[low - 1]
    }

    struct NotKnown: Error {}
}
