internal import Linux

/// What the rules of one table's chains do, and where they jump to, in memory that is bounded whatever the table holds.
///
/// Chains are identified by a seeded hash of their names, so a pod cannot construct a collision. Two chains with one
/// hash would count as one chain with the effects of both.
struct ChainGraph {
    /// The possible effects of a chain's rules on a packet.
    struct Effects: OptionSet, Hashable {
        var rawValue: UInt32

        static let destinationNat = Effects(rawValue: 1)
        static let transparentProxy = Effects(rawValue: 2)
        /// A verdict is looked up in a map: it may lead to any chain of the table that is only jumped to.
        static let verdictMap = Effects(rawValue: 4)
        /// Writes a number into a packet's mark, or into its connection's.
        static let mark = Effects(rawValue: 8)
        /// Besides `transparentProxy`: not for TCP alone.
        static let datagramProxy = Effects(rawValue: 16)

        /// The same, by a rule for packets that come in by such an interface alone.
        func by(_ input: InputInterface) -> Effects { Effects(rawValue: rawValue << (8 * input.rawValue)) }

        /// Where packets come in on which they have an effect.
        func sources(of effect: Effects) -> Redirect.Sources {
            let inputs: [InputInterface] = [.any, .loopback, .named]
            return inputs.reduce(into: []) { sources, input in
                if contains(effect.by(input)) { sources.formUnion(input.narrowing([.outside, .loopback])) }
            }
        }
    }

    struct Chain {
        var ruleCount: UInt32 = 0
        var effects: Effects = []
    }

    private struct Jump {
        var origin: Int
        var target: Int
        var input: InputInterface
    }

    private var chains: [Int: Chain] = [:]
    /// What rules of any chain do.
    private var allEffects: Effects = []
    /// Sorted by their targets once all are there.
    private var jumps: [Jump] = []
    /// Whether it has more chains and jumps than are kept: then it is not known what the table does.
    private(set) var isTooLarge = false
    /// Whether that is only because other large graphs are in memory now.
    private(set) var lacksMemory = false
    private var memory: LargeGraphMemory?

    /// Chains and jumps together. The largest clusters have 100,000 of them on a node, for their services.
    static let maxSize = 1 << 18
    /// A larger one takes the memory for a large one, of which there is one over all threads. No pod of a mesh has so many.
    static let smallSize = 1 << 13

    /// The seeded hash of a chain's name.
    static func key(_ name: String) -> Int { name.hashValue }

    func chain(_ name: String) -> Chain { chains[Self.key(name)] ?? Chain() }

    mutating func add(_ rules: Chain, to key: Int) {
        guard makeRoom() || chains[key] != nil else { return }
        var chain = chains[key] ?? Chain()
        chain.ruleCount = chain.ruleCount.addingReportingOverflow(rules.ruleCount).partialValue
        chain.effects.formUnion(rules.effects)
        allEffects.formUnion(rules.effects)
        chains[key] = chain
    }

    mutating func addJump(from origin: Int, to target: Int, by input: InputInterface = .any) {
        if let last = jumps.last, last.origin == origin, last.target == target, last.input == input { return }
        if makeRoom() { jumps.append(Jump(origin: origin, target: target, input: input)) }
    }

    private mutating func makeRoom() -> Bool {
        let size = chains.count + jumps.count
        if size >= Self.maxSize { giveUp() }
        if size >= Self.smallSize && memory == nil && !isTooLarge {
            memory = LargeGraphMemory.take()
            lacksMemory = memory == nil
            if lacksMemory { giveUp() }
        }
        return !isTooLarge
    }

    mutating func giveUp() { isTooLarge = true }

    /// To be called after all were added.
    mutating func finish() {
        jumps.sort { $0.target < $1.target }
    }

    /// The base chains from which a rule with that effect can be reached, over whatever jumps, and where the packets come in
    /// that reach it. Each chain and each jump is visited three times at most.
    ///
    /// - Parameter bases: the base chains, to which no verdict can lead.
    func bases(_ bases: Set<Int>, reaching effect: Effects) -> [Int: Redirect.Sources] {
        if allEffects.sources(of: effect).isEmpty { return [:] }
        let origins = chains.compactMapValues { rules in
            let sources = rules.effects.sources(of: effect)
            return sources.isEmpty ? nil : sources
        }
        return self.bases(bases, reaching: origins)
    }

    /// The base chains from which a chain can be reached.
    func bases(_ bases: Set<Int>, reaching chain: Int) -> Set<Int> {
        Set(sources(of: bases, reaching: chain).keys)
    }

    /// Of those, where the packets come in that reach it.
    func sources(of bases: Set<Int>, reaching chain: Int) -> [Int: Redirect.Sources] {
        self.bases(bases, reaching: [chain: [.outside, .loopback]])
    }

    /// - Parameter origins: the chains to reach, and where packets come in for which they matter.
    private func bases(_ bases: Set<Int>, reaching origins: [Int: Redirect.Sources]) -> [Int: Redirect.Sources] {
        var waiting: [Int] = []
        var reaching: [Int: Redirect.Sources] = [:]
        func visit(_ chain: Int, _ sources: Redirect.Sources) {
            let known = reaching[chain] ?? []
            if known.isSuperset(of: sources) { return }
            reaching[chain] = known.union(sources)
            waiting.append(chain)
        }
        for (chain, sources) in origins { visit(chain, sources) }
        var reachedByMaps: Redirect.Sources = []
        while let chain = waiting.popLast() {
            let sources = reaching[chain] ?? []
            var index = firstJump(to: chain)
            while index < jumps.count, jumps[index].target == chain {
                visit(jumps[index].origin, jumps[index].input.narrowing(sources))
                index += 1
            }
            guard !reachedByMaps.isSuperset(of: sources), !bases.contains(chain) else { continue }
            reachedByMaps.formUnion(sources)
            for (other, rules) in chains where rules.effects.contains(.verdictMap) { visit(other, sources) }
        }
        return reaching.filter { bases.contains($0.key) }
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

/// The memory for one large graph: pods can have any number of large tables. A reading that finds it taken waits for a
/// moment, and ends as "not known". Readings of other namespaces are not affected.
private final class LargeGraphMemory: Sendable {
    private static let isTaken = Monitor(false)
    private static let maxWait = Interval.seconds(1)

    private init() {}

    deinit {
        Self.isTaken.update { $0 = false }
    }

    static func take() -> LargeGraphMemory? {
        let taken: Void? = isTaken.wait(until: .now + maxWait) { isTaken in
            if isTaken { return nil }
            isTaken = true
            return ()
        }
        return taken == nil ? nil : LargeGraphMemory()
    }
}
