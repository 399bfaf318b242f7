/// One of so few things that a set of them is a byte.
package protocol SmallSetElement: Hashable, Sendable {
    /// All there are, each at its own `number`.
    static var all: [Self] { get }
    /// 0 to 7.
    var number: Int { get }
}

/// A set of few things that exist: one byte, without memory of its own. Plans and observations are full of them.
///
/// Inlinable, as other modules could not specialize it otherwise.
package protocol SmallSet: SetAlgebra, Sequence, Hashable, Sendable where Element: SmallSetElement {
    /// Those that are in it, by number.
    var bits: UInt8 { get set }
    init(bits: UInt8)
}

extension SmallSet {
    @inlinable package init() { self.init(bits: 0) }

    @inlinable package init(arrayLiteral members: Element...) {
        self.init()
        for member in members { bits |= member.bit }
    }

    @inlinable package var isEmpty: Bool { bits == 0 }
    @inlinable package var count: Int { bits.nonzeroBitCount }
    @inlinable package var first: Element? { isEmpty ? nil : Element.all[bits.trailingZeroBitCount] }

    @inlinable package func contains(_ member: Element) -> Bool { bits & member.bit != 0 }

    @discardableResult @inlinable
    package mutating func insert(_ member: Element) -> (inserted: Bool, memberAfterInsert: Element) {
        defer { bits |= member.bit }
        return (!contains(member), member)
    }

    @discardableResult @inlinable
    package mutating func update(with member: Element) -> Element? { insert(member).inserted ? nil : member }

    @discardableResult @inlinable
    package mutating func remove(_ member: Element) -> Element? {
        defer { bits &= ~member.bit }
        return contains(member) ? member : nil
    }

    @inlinable package mutating func formUnion(_ other: Self) { bits |= other.bits }
    @inlinable package mutating func formIntersection(_ other: Self) { bits &= other.bits }
    @inlinable package mutating func formSymmetricDifference(_ other: Self) { bits ^= other.bits }
    @inlinable package func union(_ other: Self) -> Self { Self(bits: bits | other.bits) }
    @inlinable package func intersection(_ other: Self) -> Self { Self(bits: bits & other.bits) }
    @inlinable package func symmetricDifference(_ other: Self) -> Self { Self(bits: bits ^ other.bits) }
    @inlinable package func isSubset(of other: Self) -> Bool { bits & ~other.bits == 0 }
    @inlinable package func isSuperset(of other: Self) -> Bool { other.isSubset(of: self) }
    @inlinable package func isDisjoint(with other: Self) -> Bool { bits & other.bits == 0 }

    @inlinable package func filter(_ isIncluded: (Element) -> Bool) -> Self {
        var kept = self
        for member in self where !isIncluded(member) { kept.remove(member) }
        return kept
    }

    @inlinable package func makeIterator() -> SmallSetIterator<Self> { SmallSetIterator(rest: self) }
}

extension SmallSetElement {
    @inlinable package var bit: UInt8 { 1 << UInt8(number) }
}

/// In the order of their numbers.
package struct SmallSetIterator<Members: SmallSet>: IteratorProtocol {
    @usableFromInline var rest: Members

    @inlinable init(rest: Members) { self.rest = rest }

    @inlinable package mutating func next() -> Members.Element? {
        if rest.isEmpty { return nil }
        let number = rest.bits.trailingZeroBitCount
        rest.bits &= rest.bits - 1
        return Members.Element.all[number]
    }
}

package struct HookSet: SmallSet {
    package typealias Element = Hook
    package var bits: UInt8
    @inlinable package init(bits: UInt8) { self.bits = bits }
}

package struct FamilySet: SmallSet {
    package typealias Element = Family
    package var bits: UInt8
    @inlinable package init(bits: UInt8) { self.bits = bits }
}

package struct SourceSet: SmallSet {
    package typealias Element = Source
    package var bits: UInt8
    @inlinable package init(bits: UInt8) { self.bits = bits }
}

package struct CreatedObjectSet: SmallSet {
    package typealias Element = CreatedObject
    package var bits: UInt8
    @inlinable package init(bits: UInt8) { self.bits = bits }
}

extension Hook: SmallSetElement {
    package static let all = allCases
    @inlinable package var number: Int { self == .prerouting ? 0 : 1 }
}

extension Family: SmallSetElement {
    package static let all = allCases
    @inlinable package var number: Int { self == .ip ? 0 : 1 }
}

extension MaskChain: SmallSetElement {
    package static let all = allCases
    @inlinable package var number: Int { self == .mask ? 0 : 1 }
}

extension Source: SmallSetElement {
    package static let all = allCases
    @inlinable package var number: Int {
        switch self {
        case .outside: 0
        case .loopback: 1
        case .namedInterface: 2
        }
    }
}

extension CreatedObject: SmallSetElement {
    package static let all: [CreatedObject] =
        Family.allCases.flatMap { family in
            [.table(family)] + Hook.allCases.map { .chain(NATChain(family, $0)) }
        } + [.mask]

    @inlinable package var number: Int {
        switch self {
        case .table(let family): family.number * 3
        case .chain(let natChain): natChain.family.number * 3 + 1 + natChain.hook.number
        case .mask: 6
        }
    }
}

/// Values for two things, for one of them, or for neither: a dictionary without memory of its own.
package struct PairMap<Key: SmallSetElement, Value>: ExpressibleByDictionaryLiteral {
    @usableFromInline var first: Value?
    @usableFromInline var second: Value?

    @inlinable package init() {}

    @inlinable package init(dictionaryLiteral elements: (Key, Value)...) {
        for (key, value) in elements { self[key] = value }
    }

    @inlinable package init(uniqueKeysWithValues elements: some Sequence<(Key, Value)>) {
        for (key, value) in elements { self[key] = value }
    }

    @inlinable package subscript(_ key: Key) -> Value? {
        get { key.number == 0 ? first : second }
        _modify {
            if key.number == 0 { yield &first } else { yield &second }
        }
    }

    @inlinable package var isEmpty: Bool { first == nil && second == nil }
    @inlinable package var count: Int { (first == nil ? 0 : 1) + (second == nil ? 0 : 1) }

    /// In the order of their keys' numbers.
    @inlinable package var values: [Value] { [first, second].compactMap(\.self) }

    @inlinable package func mapValues<Other>(_ transform: (Value) -> Other) -> PairMap<Key, Other> {
        var other = PairMap<Key, Other>()
        for (key, value) in self { other[key] = transform(value) }
        return other
    }

    /// Whether all there is satisfies a condition; nothing is copied for it.
    @inlinable package func allValues(_ condition: (Value) -> Bool) -> Bool {
        (first.map(condition) ?? true) && (second.map(condition) ?? true)
    }
}

extension PairMap: Sequence {
    @inlinable package func makeIterator() -> IndexingIterator<[(key: Key, value: Value)]> {
        Key.all.compactMap { key in self[key].map { (key: key, value: $0) } }.makeIterator()
    }
}

extension PairMap: Equatable where Value: Equatable {}
extension PairMap: Hashable where Value: Hashable {}
extension PairMap: Sendable where Value: Sendable {}
