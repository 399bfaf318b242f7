/// One of so few things that a set of them is a byte.
package protocol SmallSetElement: Hashable, Sendable {
    /// All there are, each at its own `number`.
    static var all: [Self] { get }
    /// 0 to 7.
    var number: Int { get }
}

/// A set of few things that exist: one byte, without memory of its own. Plans and observations are full of them.
package protocol SmallSet: SetAlgebra, Sequence, Hashable, Sendable where Element: SmallSetElement {
    /// Those that are in it, by number.
    var bits: UInt8 { get set }
    init(bits: UInt8)
}

extension SmallSet {
    package init() { self.init(bits: 0) }

    package var isEmpty: Bool { bits == 0 }
    package var count: Int { bits.nonzeroBitCount }
    package var first: Element? { isEmpty ? nil : Element.all[bits.trailingZeroBitCount] }

    package func contains(_ member: Element) -> Bool { bits & member.bit != 0 }

    @discardableResult
    package mutating func insert(_ member: Element) -> (inserted: Bool, memberAfterInsert: Element) {
        defer { bits |= member.bit }
        return (!contains(member), member)
    }

    @discardableResult
    package mutating func update(with member: Element) -> Element? { insert(member).inserted ? nil : member }

    @discardableResult
    package mutating func remove(_ member: Element) -> Element? {
        defer { bits &= ~member.bit }
        return contains(member) ? member : nil
    }

    package mutating func formUnion(_ other: Self) { bits |= other.bits }
    package mutating func formIntersection(_ other: Self) { bits &= other.bits }
    package mutating func formSymmetricDifference(_ other: Self) { bits ^= other.bits }
    package func union(_ other: Self) -> Self { Self(bits: bits | other.bits) }
    package func intersection(_ other: Self) -> Self { Self(bits: bits & other.bits) }
    package func symmetricDifference(_ other: Self) -> Self { Self(bits: bits ^ other.bits) }
    package func isSubset(of other: Self) -> Bool { bits & ~other.bits == 0 }
    package func isSuperset(of other: Self) -> Bool { other.isSubset(of: self) }
    package func isDisjoint(with other: Self) -> Bool { bits & other.bits == 0 }

    package func filter(_ isIncluded: (Element) -> Bool) -> Self {
        var kept = self
        for member in self where !isIncluded(member) { kept.remove(member) }
        return kept
    }

    package func makeIterator() -> SmallSetIterator<Self> { SmallSetIterator(rest: self) }
}

extension SmallSetElement {
    fileprivate var bit: UInt8 { 1 << UInt8(number) }
}

/// In the order of their numbers.
package struct SmallSetIterator<Members: SmallSet>: IteratorProtocol {
    fileprivate var rest: Members

    package mutating func next() -> Members.Element? {
        if rest.isEmpty { return nil }
        let number = rest.bits.trailingZeroBitCount
        rest.bits &= rest.bits - 1
        return Members.Element.all[number]
    }
}

package struct HookSet: SmallSet {
    package typealias Element = Hook
    package var bits: UInt8
    package init(bits: UInt8) { self.bits = bits }
}

package struct FamilySet: SmallSet {
    package typealias Element = Family
    package var bits: UInt8
    package init(bits: UInt8) { self.bits = bits }
}

package struct CreatedObjectSet: SmallSet {
    package typealias Element = CreatedObject
    package var bits: UInt8
    package init(bits: UInt8) { self.bits = bits }
}

extension Hook: SmallSetElement {
    package static let all = allCases
    package var number: Int { self == .prerouting ? 0 : 1 }
}

extension Family: SmallSetElement {
    package static let all = allCases
    package var number: Int { self == .ip ? 0 : 1 }
}

extension CreatedObject: SmallSetElement {
    package static let all: [CreatedObject] = Family.allCases.flatMap { family in
        [.table(family)] + Hook.allCases.map { .chain(NATChain(family, $0)) }
    }

    package var number: Int {
        switch self {
        case .table(let family): family.number * 3
        case .chain(let natChain): natChain.family.number * 3 + 1 + natChain.hook.number
        }
    }
}

/// What there is for two things that exist, or for one of them, or none: a dictionary without memory of its own.
package struct PairMap<Key: SmallSetElement, Value>: ExpressibleByDictionaryLiteral {
    private var first: Value?
    private var second: Value?

    package init() {}

    package init(dictionaryLiteral elements: (Key, Value)...) {
        for (key, value) in elements { self[key] = value }
    }

    package init(uniqueKeysWithValues elements: some Sequence<(Key, Value)>) {
        for (key, value) in elements { self[key] = value }
    }

    package subscript(_ key: Key) -> Value? {
        get { key.number == 0 ? first : second }
        _modify {
            if key.number == 0 { yield &first } else { yield &second }
        }
    }

    package var isEmpty: Bool { first == nil && second == nil }
    package var count: Int { (first == nil ? 0 : 1) + (second == nil ? 0 : 1) }

    /// In the order of their keys' numbers.
    package var values: [Value] { [first, second].compactMap(\.self) }

    package func mapValues<Other>(_ transform: (Value) -> Other) -> PairMap<Key, Other> {
        var other = PairMap<Key, Other>()
        for (key, value) in self { other[key] = transform(value) }
        return other
    }

    /// Whether all there is satisfies a condition; nothing is copied for it.
    package func allValues(_ condition: (Value) -> Bool) -> Bool {
        (first.map(condition) ?? true) && (second.map(condition) ?? true)
    }
}

extension PairMap: Sequence {
    package func makeIterator() -> IndexingIterator<[(key: Key, value: Value)]> {
        Key.all.compactMap { key in self[key].map { (key: key, value: $0) } }.makeIterator()
    }
}

extension PairMap: Equatable where Value: Equatable {}
extension PairMap: Hashable where Value: Hashable {}
extension PairMap: Sendable where Value: Sendable {}
