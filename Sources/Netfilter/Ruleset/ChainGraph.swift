/// What the rules of one table's chains do, and where they jump to, in memory that is bounded whatever the table holds.
///
/// Chains are identified by a seeded hash of their names, so a pod cannot construct a collision. Two chains with one
/// hash would count as one chain with the effects of both.
struct ChainGraph {
    /// What the rules of a chain can do to a packet.
    struct Effects: OptionSet {
        var rawValue: UInt8

        static let destinationNat = Effects(rawValue: 1)
        static let transparentProxy = Effects(rawValue: 2)
        /// A verdict is looked up in a map: it may lead to any chain of the table that is only jumped to.
        static let verdictMap = Effects(rawValue: 4)
    }

    struct Chain {
        var ruleCount: UInt32 = 0
        var effects: Effects = []
    }

    private struct Jump {
        var origin: Int
        var target: Int
    }

    private var chains: [Int: Chain] = [:]
    /// Sorted by their targets once all are there.
    private var jumps: [Jump] = []
    /// Whether it has more chains and jumps than are kept: then it is not known what the table does.
    private(set) var isTooLarge = false

    /// Chains and jumps together. The largest clusters have 100,000 of them on a node, for their services.
    static let maxSize = 1 << 18

    /// The seeded hash of a chain's name.
    static func key(_ name: String) -> Int { name.hashValue }

    func chain(_ name: String) -> Chain { chains[Self.key(name)] ?? Chain() }

    mutating func add(_ rules: Chain, to key: Int) {
        guard makeRoom() || chains[key] != nil else { return }
        var chain = chains[key] ?? Chain()
        chain.ruleCount = chain.ruleCount.addingReportingOverflow(rules.ruleCount).partialValue
        chain.effects.formUnion(rules.effects)
        chains[key] = chain
    }

    mutating func addJump(from origin: Int, to target: Int) {
        if let last = jumps.last, last.origin == origin, last.target == target { return }
        if makeRoom() { jumps.append(Jump(origin: origin, target: target)) }
    }

    private mutating func makeRoom() -> Bool {
        if chains.count + jumps.count >= Self.maxSize { giveUp() }
        return !isTooLarge
    }

    mutating func giveUp() { isTooLarge = true }

    /// To be called after all were added.
    mutating func finish() {
        jumps.sort { $0.target < $1.target }
    }

    /// The base chains from which a rule with that effect can be reached, over whatever jumps. Each chain and each jump is
    /// visited once.
    ///
    /// - Parameter bases: the base chains, to which no verdict can lead.
    func bases(_ bases: Set<Int>, reaching effect: Effects) -> Set<Int> {
        var waiting: [Int] = []
        for (chain, rules) in chains where rules.effects.contains(effect) { waiting.append(chain) }
        var reaching = Set(waiting)
        var hasVisitedMaps = false
        func visit(_ chain: Int) {
            if reaching.insert(chain).inserted { waiting.append(chain) }
        }
        while let chain = waiting.popLast() {
            var index = firstJump(to: chain)
            while index < jumps.count, jumps[index].target == chain {
                visit(jumps[index].origin)
                index += 1
            }
            guard !hasVisitedMaps, !bases.contains(chain) else { continue }
            hasVisitedMaps = true
            for (other, rules) in chains where rules.effects.contains(.verdictMap) { visit(other) }
        }
        return bases.intersection(reaching)
    }

    private func firstJump(to chain: Int) -> Int {
        var (low, high) = (0, jumps.count)
        while low < high {
            let middle = (low + high) / 2
            if jumps[middle].target < chain { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
