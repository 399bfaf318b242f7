/// One step towards a wish. Actions are data: the planner writes them down, one place carries them out.
///
/// Steps in the ruleset that stand next to each other are one batch, which the kernel carries out as a whole.
public enum Action: Hashable, Sendable {
    /// iptables' nat table.
    case makeTable(Family)
    case makeChain(Place)
    /// Our RETURN at the head of the chain.
    case insertRule(Place)
    case deleteRule(Place, handle: UInt64)
    case deleteChain(Place)
    case deleteTable(Family)
    /// The guard's own table.
    case makeGuardTable
    /// A chain of the guard's, with its rules for these families.
    case makeGuardChain(Hook, [Family])
    case deleteGuardChain(Hook)
    /// With all that is in it.
    case deleteGuardTable
    /// The switch. A step of its own, at once in force.
    case setEntry(Entry)
    case removeEntry

    /// Whether it is carried out in the ruleset, not in the matcher's map.
    public var isInRuleset: Bool {
        switch self {
        case .setEntry, .removeEntry: false
        default: true
        }
    }
}
