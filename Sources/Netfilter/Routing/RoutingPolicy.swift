/// A rule of the routing policy (`ip rule`), as packets of the namespace's own meet it.
package struct RoutingRule: Hashable, Sendable {
    package enum Action: Hashable, Sendable {
        /// Looks for a route in a table; nil if it is not known in which.
        case table(UInt32?)
        /// Goes on with the first rule of a priority.
        case goTo(UInt32)
        /// Goes on with the next rule.
        case nothing
        /// Refuses the packet: blackhole, unreachable, prohibit.
        case refuse
    }

    package var priority: UInt32
    /// `fwmark`: the bits that a packet's mark has under a mask, which is 0 where any mark will do.
    package var mark: UInt32 = 0
    package var mask: UInt32 = 0
    /// Whether a packet meets its other conditions, as far as that holds for all packets.
    var others = Certainty.yes
    /// `not`: it is for packets that do not meet all of its conditions.
    package var isInverted = false
    package var action: Action
    /// Routes of shorter prefixes are passed over (`suppress_prefixlength`).
    package var shortestPrefix = 0

    package init(priority: UInt32, action: Action) {
        self.priority = priority
        self.action = action
    }

    func matches(_ marks: PossibleMarks) -> Certainty {
        let meets = min(others, marks.matches(mark, mask: mask))
        return isInverted ? !meets : meets
    }
}

/// Where the routing rules of one address family send what the namespace itself sends to other addresses than its own.
package struct RoutingPolicy: Hashable, Sendable {
    /// In the order in which they are evaluated.
    package var rules: [RoutingRule]
    /// The longest prefix of a table's routes that lead to `lo`: local ones, and those by that interface. Tables that have none
    /// are not in it.
    package var loopbackPrefixes: [UInt32: Int]

    package init(rules: [RoutingRule], loopbackPrefixes: [UInt32: Int] = [:]) {
        self.rules = rules
        self.loopbackPrefixes = loopbackPrefixes
    }

    /// Where packets with a mark go.
    package enum Way: Hashable, Sendable {
        /// No rule sends them over `lo`.
        case outside
        /// They come back over `lo`.
        case loopback
        /// Why that is not known.
        case unknown(String)
    }

    package func way(of marks: PossibleMarks) -> Way {
        var way = Way.outside
        for lookup in lookups(marks) {
            guard let table = lookup.table else {
                way = .unknown("the table of routing rule \(lookup.priority) is not known")
                continue
            }
            guard let prefix = loopbackPrefixes[table], prefix >= lookup.shortestPrefix else { continue }
            if lookup.isCertain { return .loopback }
            way = .unknown("routing rule \(lookup.priority) may send them there")
        }
        return way
    }

    /// Where the rules of a chain that marks packets have them go.
    package func way(of changes: MarkChanges) -> Way {
        let ways = changes.possibleMarks.map(way)
        return ways.contains(.loopback) ? .loopback : ways.first { $0 != .outside } ?? .outside
    }

    /// The tables in which a route is looked for, but for those of the kernel's own: a mark changes nothing about them.
    func tables(for marks: [PossibleMarks]) -> Set<UInt32> {
        Set(marks.flatMap { lookups($0).compactMap(\.table) })
    }

    private struct Lookup {
        var priority: UInt32
        var table: UInt32?
        var shortestPrefix: Int
        /// Whether some packets surely get there.
        var isCertain: Bool
    }

    /// Whether a table has a route for a packet is not known of any: rules that follow may be reached, or may not.
    private func lookups(_ marks: PossibleMarks) -> [Lookup] {
        var lookups: [Lookup] = []
        var reached = Array(repeating: Certainty.no, count: rules.count + 1)
        reached[0] = .yes
        for (index, rule) in rules.enumerated() where reached[index] > .no {
            let match = rule.matches(marks)
            let isTaken = min(reached[index], match)
            var passes = min(reached[index], !match)
            switch rule.action {
            case .table(Self.local): passes = reached[index]
            case .table(let table) where isTaken > .no:
                if table.map(Self.ownTables.contains) != true {
                    lookups.append(
                        Lookup(
                            priority: rule.priority, table: table, shortestPrefix: rule.shortestPrefix,
                            isCertain: isTaken == .yes))
                }
                passes = .maybe
            case .goTo(let priority) where isTaken > .no:
                // Where there is no such rule, the next one is evaluated.
                let target = rules.firstIndex { $0.priority == priority } ?? index + 1
                if target > index { reached[target] = max(reached[target], isTaken) }
            case .nothing: passes = reached[index]
            case .table, .goTo, .refuse: break
            }
            reached[index + 1] = max(reached[index + 1], passes)
        }
        return lookups
    }

    /// RT_TABLE_LOCAL: it has no route to an address outside the namespace.
    private static let local: UInt32 = 255
    /// RT_TABLE_DEFAULT, RT_TABLE_MAIN and RT_TABLE_LOCAL.
    private static let ownTables: ClosedRange<UInt32> = 253...255
}
