import Bypass
import Testing

/// A set in a byte is a set: the same as Swift's own in everything that plans ask of it.
@Suite struct SmallSetTests {
    private static let subsets: [CreatedObjectSet] = (0..<64).map { CreatedObjectSet(bits: $0) }

    @Test("Every thing has a number of its own, and is found by it")
    func numbers() {
        #expect(CreatedObject.all.map(\.number) == Array(0..<7))
        #expect(Hook.all.map(\.number) == [0, 1])
        #expect(Family.all.map(\.number) == [0, 1])
    }

    @Test("Relations and operations are those of Set")
    func relations() {
        for left in Self.subsets {
            let (leftSet, count) = (Set(left), left.count)
            #expect(leftSet.count == count)
            for right in Self.subsets {
                let rightSet = Set(right)
                #expect(left.isSubset(of: right) == leftSet.isSubset(of: rightSet))
                #expect(left.isSuperset(of: right) == leftSet.isSuperset(of: rightSet))
                #expect(left.isDisjoint(with: right) == leftSet.isDisjoint(with: rightSet))
                #expect(Set(left.union(right)) == leftSet.union(rightSet))
                #expect(Set(left.intersection(right)) == leftSet.intersection(rightSet))
                #expect(Set(left.symmetricDifference(right)) == leftSet.symmetricDifference(rightSet))
                #expect((left == right) == (leftSet == rightSet))
            }
        }
    }

    @Test("What is put in is in, and what is taken out is not")
    func members() {
        var set: CreatedObjectSet = []
        for object in CreatedObject.all {
            #expect(!set.contains(object))
            #expect(set.insert(object).inserted && !set.insert(object).inserted)
            #expect(set.contains(object))
        }
        #expect(Array(set) == CreatedObject.all)
        for object in CreatedObject.all {
            #expect(set.remove(object) == object && set.remove(object) == nil)
        }
        #expect(set.isEmpty && set == [])
        #expect(CreatedObjectSet(CreatedObject.all).filter { $0 == .table(.ip6) } == [.table(.ip6)])
    }

    @Test("A map of two keys is a dictionary of two keys")
    func pairs() {
        var map: PairMap<Hook, [Int]> = [:]
        #expect(map.isEmpty && map.count == 0 && map.allValues { _ in false })
        map[.output] = [1]
        map[.output]?.append(2)
        map[.prerouting]?.append(3)
        #expect(map == [.output: [1, 2]])
        map[.prerouting] = []
        #expect(map.map(\.key) == [.prerouting, .output] && map.values == [[], [1, 2]] && map.count == 2)
        #expect(map.mapValues(\.count) == [.prerouting: 0, .output: 2])
        #expect(map.allValues { $0.count < 3 } && !map.allValues(\.isEmpty))
        map[.output] = nil
        #expect(map == PairMap(uniqueKeysWithValues: [(.prerouting, [])]))
    }
}
