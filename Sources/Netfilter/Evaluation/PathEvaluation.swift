/// Evaluates all rules of a namespace for one packet, as the kernel would.
package struct PathEvaluation: Sendable {
    private let tables: [FilterTable]
    private let context: PacketContext
    /// Rules that were not read: no end is known then.
    private let isComplete: Bool

    /// - Parameter isComplete: whether these are all tables that may matter.
    package init(_ tables: [FilterTable], _ context: PacketContext, isComplete: Bool) {
        self.tables = tables
        self.context = context
        self.isComplete = isComplete
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
    private func walk(_ packet: Packet, _ origin: PacketOrigin, _ trace: [TraceMessage]?) -> PacketPath? {
        var first: PacketPath?
        var ends: Set<PacketPath.End> = []
        var waiting: [[Bool]] = [[]]
        var walks = 0
        var budget = PathWalk.maxSteps
        while let decisions = waiting.popLast() {
            walks += 1
            guard walks <= Self.maxWalks else {
                ends.insert(.unknown)
                break
            }
            var walk = PathWalk(packet, tables, context, following: trace, assuming: decisions, budget)
            walk.go(from: origin)
            if walk.hasLostTrace { return nil }
            budget = walk.budget
            ends.insert(walk.path.end)
            if first == nil { first = walk.path }
            for count in decisions.count..<max(decisions.count, walk.decisions.count) {
                waiting.append(Array(walk.decisions[..<count]) + [true])
            }
        }
        var path = first ?? PacketPath()
        path.end = ends.count == 1 && isComplete ? path.end : .unknown
        path.markDecision()
        return path
    }

    /// Six rules that are not known, and all that can come of them.
    private static let maxWalks = 64
}
