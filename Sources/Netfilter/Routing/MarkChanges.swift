/// What a rule does to a mark, as the kernel does it: the bits of the mask are cleared, those of the value are inverted.
package struct MarkChange: Hashable, Sendable {
    var value: UInt32
    var mask: UInt32

    package init(value: UInt32, mask: UInt32 = .max) {
        self.value = value
        self.mask = mask
    }

    /// Leaves the mark as it is.
    static let identity = MarkChange(value: 0, mask: 0)

    func applied(to mark: UInt32) -> UInt32 { mark & ~mask ^ value }

    /// This change, and then another one.
    func followed(by next: MarkChange) -> MarkChange {
        MarkChange(value: next.applied(to: value), mask: mask | next.mask)
    }
}

/// What the rules that packets meet in a base chain at OUTPUT can do to their marks, in whatever order and number.
///
/// A new connection's first packet has the mark 0, as its connection has, unless its socket has one of its own: only what
/// gives it another number counts.
package struct MarkChanges: Hashable, Sendable {
    private(set) var ofPacket: Set<MarkChange> = []
    /// Another rule may copy the connection's mark to the packet.
    private(set) var ofConnection: Set<MarkChange> = []
    /// The number is from a map, or there are more changes than are kept.
    private(set) var isUnknown = false

    private static let maxCount = 16

    package init() {}

    package var isEmpty: Bool { ofPacket.isEmpty && ofConnection.isEmpty && !isUnknown }

    mutating func insert(_ write: MarkWrite) {
        switch write {
        case .packet(let change): ofPacket.insert(change)
        case .connection(let change): ofConnection.insert(change)
        case .unknown: isUnknown = true
        }
        limit()
    }

    package mutating func formUnion(_ others: MarkChanges) {
        ofPacket.formUnion(others.ofPacket)
        ofConnection.formUnion(others.ofConnection)
        isUnknown = isUnknown || others.isUnknown
        limit()
    }

    private mutating func limit() {
        if isUnknown || ofPacket.count + ofConnection.count > Self.maxCount { self = .unknown }
    }

    static var unknown: MarkChanges {
        var changes = MarkChanges()
        changes.isUnknown = true
        return changes
    }

    /// The marks that packets can leave with: each set of them alone, since what is known of one is not known of all.
    ///
    /// A packet that no rule marks is among them: where a routing rule takes all marks but one, that one is for the sidecar.
    package var possibleMarks: [PossibleMarks] {
        if isUnknown { return [PossibleMarks(0), .any] }
        let alone = [PossibleMarks(0)] + ofPacket.map { PossibleMarks($0.applied(to: 0)) }
        if ofConnection.isEmpty && ofPacket.count < 2 { return alone }
        var together = PossibleMarks(0)
        for change in ofPacket.union(ofConnection) { together.formUnion(change) }
        return alone + [together]
    }
}

/// What a rule writes into a mark.
package enum MarkWrite: Hashable, Sendable {
    case packet(MarkChange)
    case connection(MarkChange)
    /// A number that is not known.
    case unknown
}

/// A mark of which each bit is known, or is not.
package struct PossibleMarks: Hashable, Sendable {
    /// The bits that can be 0, and those that can be 1.
    private var zeros: UInt32
    private var ones: UInt32

    /// Just this mark.
    package init(_ mark: UInt32) {
        (zeros, ones) = (~mark, mark)
    }

    package static let any = {
        var any = PossibleMarks(0)
        any.ones = .max
        return any
    }()

    mutating func formUnion(_ change: MarkChange) {
        let inverted = change.value & ~change.mask
        zeros |= change.mask & ~change.value | inverted
        ones |= change.value
    }

    /// Whether such a mark has these bits under a mask.
    func matches(_ value: UInt32, mask: UInt32) -> Certainty {
        let impossible = value & ~ones | ~value & ~zeros
        let otherwise = value & zeros | ~value & ones
        return mask & impossible != 0 ? .no : mask & otherwise == 0 ? .yes : .maybe
    }
}

/// What is known of something.
enum Certainty: Int, Comparable {
    case no, maybe, yes

    static func < (a: Certainty, b: Certainty) -> Bool { a.rawValue < b.rawValue }

    static prefix func ! (a: Certainty) -> Certainty { Certainty(rawValue: yes.rawValue - a.rawValue) ?? .maybe }
}

/// The targets of x_tables that write a mark.
enum MarkTarget {
    /// What a target writes; nil if it writes no mark, or only what a new connection's packet has already. What is not
    /// understood may be anything.
    static func write(_ name: String, revision: UInt8, _ information: some Collection<UInt8>) -> MarkWrite? {
        let bytes = Array(information.prefix(16))
        func number(_ index: Int) -> UInt32 {
            unsafe bytes.withUnsafeBytes { unsafe $0.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self) }
        }
        switch name {
        case "MARK":
            // struct xt_mark_tginfo2 of linux/netfilter/xt_mark.h: mark, mask.
            guard revision == 2, bytes.count >= 8 else { return .unknown }
            return number(0) == 0 ? nil : .packet(MarkChange(value: number(0), mask: number(1)))
        case "CONNMARK":
            // struct xt_connmark_tginfo1 and 2 of linux/netfilter/xt_connmark.h: three numbers, then the mode; in the second
            // after how far the mark is shifted. Other modes than XT_CONNMARK_SET copy a mark: a new connection has none.
            guard bytes.count >= 16, revision == 1 || revision == 2 else { return .unknown }
            if bytes[revision == 1 ? 12 : 14] != 0 || number(0) == 0 { return nil }
            let isShifted = revision == 2 && bytes[13] != 0
            return isShifted ? .unknown : .connection(MarkChange(value: number(0), mask: number(1)))
        case "HMARK": return .unknown
        case "SET":
            // struct xt_set_info_target_v3 of linux/netfilter/xt_set.h: three sets, and IPSET_FLAG_MAP_SKBMARK.
            return revision >= 3 && bytes.count >= 16 && number(3) & 1 << 8 != 0 ? .unknown : nil
        default: return nil
        }
    }
}
