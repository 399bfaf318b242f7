/// Evaluates all rules of a namespace for one packet, as the kernel would.
package struct PathEvaluation: Sendable {
    let tables: [FilterTable]
    let context: PacketContext
    /// Rules that were not read: no end is known then.
    let isComplete: Bool
    /// Rules and base chains that are evaluated for one packet.
    private let maxSteps: Int

    /// Rules and their conditions: a rule can have more than a thousand.
    package static let usualMaxSteps = 1 << 18

    /// - Parameter isComplete: whether these are all tables that may matter.
    package init(
        _ tables: [FilterTable], _ context: PacketContext, isComplete: Bool, maxSteps: Int = usualMaxSteps
    ) {
        self.tables = tables
        self.context = context
        self.isComplete = isComplete
        self.maxSteps = maxSteps
    }

    /// - Parameter trace: what the kernel says of the packet at the OUTPUT hook, instead of that hook's rules.
    /// - Returns: nil if the trace does not say where the packet ends.
    package func path(
        of packet: Packet, from origin: PacketOrigin, following trace: [TraceMessage]
    ) -> PacketPath? {
        walk(packet, origin, trace)
    }

    package func path(of packet: Packet, from origin: PacketOrigin) -> PacketPath {
        walk(packet, origin, nil) ?? PacketPath()
    }

    /// Where it is not known whether a rule matches, both ways are followed: the end is known if all of them end there.
    ///
    /// - Parameters:
    ///   - reported: what the kernel has reported of the packet.
    ///   - fits: whether the packet can have gone such a way; nil if nothing is known of that.
    func walk(
        _ packet: Packet, _ origin: PacketOrigin, _ trace: [TraceMessage]?, reported: ReportedRules? = nil,
        fits: ((PathWalk) -> Bool)? = nil
    ) -> PacketPath? {
        var first: PacketPath?
        var ends: Set<PacketPath.End> = []
        var arrivals: Set<PacketPath.Arrival?> = []
        var waiting: [[Bool]] = [[]]
        var walks = 0
        var budget = maxSteps
        var isAmbiguous = false
        while let decisions = waiting.popLast() {
            walks += 1
            guard walks <= Self.maxWalks else {
                ends.insert(.unknown)
                break
            }
            var walk = PathWalk(
                packet, tables, context, following: trace, assuming: decisions, reported: reported, budget)
            walk.go(from: origin)
            if walk.hasLostTrace { return nil }
            budget = walk.budget
            for count in decisions.count..<max(decisions.count, walk.decisions.count) {
                waiting.append(Array(walk.decisions[..<count]) + [true])
            }
            if let fits {
                // Ways that all fit, and by different rules: none of them is known to have decided.
                isAmbiguous = isAmbiguous || walk.path.end == .unknown
                if walk.path.end != .unknown, !fits(walk) { continue }
                walk.path.markDecision()
                if let first, first.deciding != walk.path.deciding { isAmbiguous = true }
            }
            ends.insert(walk.path.end)
            arrivals.insert(walk.path.arrival)
            if first == nil { first = walk.path }
        }
        var path = first ?? PacketPath()
        path.end = ends.count == 1 && isComplete ? path.end : .unknown
        if path.end == .unknown || arrivals.count > 1 { path.arrival = nil }
        if isAmbiguous { path.steps = [] } else if fits == nil { path.markDecision() }
        return path
    }

    /// Six rules that are not known, and all that can come of them.
    private static let maxWalks = 64
}
