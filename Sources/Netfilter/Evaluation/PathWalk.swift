internal import Linux

/// One walk of a packet through the hooks, with an answer to each question that the rules leave open.
struct PathWalk {
    let tables: [FilterTable]
    let context: PacketContext
    /// As it was sent.
    let original: Packet
    var packet: Packet
    private let trace: [TraceMessage]?
    private(set) var hasLostTrace = false
    private let assumed: [Bool]
    /// What the kernel has reported of the packet. Assumptions are checked against where it went: none of them is an open
    /// question in the path.
    let reported: ReportedRules?
    /// Whether each rule that may match was taken to match, in their order.
    private(set) var decisions: [Bool] = []
    var path = PacketPath()
    /// What nat has done: it is asked once for a connection's destination and once for its source.
    var hasDestinationNat = false
    var hasSourceNat = false
    var isRedirected = false
    var transparentProxy: UInt16??
    /// The mark that the packet leaves by: that of its socket, or that which a chain of type route has given it. Where none has,
    /// the packet is not routed again.
    var routedMark: UInt32?
    /// Whether the packet now goes to an address of the namespace.
    var isLocal: Bool?
    /// Rules and base chains that may still be evaluated, in all walks of the packet: no ruleset takes more time.
    var budget: Int

    init(
        _ packet: Packet, _ tables: [FilterTable], _ context: PacketContext, following trace: [TraceMessage]?,
        assuming decisions: [Bool], reported: ReportedRules? = nil, _ budget: Int
    ) {
        self.budget = budget
        original = packet
        self.packet = packet
        routedMark = packet.mark
        self.trace = trace
        self.reported = reported
        self.tables = tables
        self.context = context
        assumed = decisions
        isLocal = context.isLocal(packet.destination)
    }

    enum Stop: Error {
        case dropped, unknown
        /// The trace does not reach the end of a hook, and the packet was not dropped.
        case lost
    }

    mutating func go(from origin: PacketOrigin) {
        do throws(Stop) {
            if origin == .local { try leave() } else { try arrive() }
            path.end = end
            path.arrival = arrival
        } catch {
            path.end = error == .dropped ? .dropped : .unknown
            hasLostTrace = error == .lost
        }
    }

    private mutating func leave() throws(Stop) {
        packet.output = try isKnownLocal() ? [.loopback] : context.interfaces
        try pass(.output)
        var isLocal = try isKnownLocal()
        if let output = trace?.first(where: { $0.chain == TraceTable.last(.postrouting) })?.output {
            isLocal = output == TraceMessage.loopback
        } else if !isLocal, takesFromLoopback {
            isLocal = try comesBack()
        }
        packet.output = isLocal ? [.loopback] : context.interfaces
        try pass(.postrouting)
        guard isLocal else { return }
        (packet.input, packet.output) = ([.loopback], [])
        try pass(.prerouting)
        if transparentProxy == nil, try !isKnownLocal() { throw .unknown }
        try pass(.input)
    }

    /// Whether a routing rule sends the packet over `lo`, to the proxy. The kernel's report is of another moment than the rules.
    private mutating func comesBack() throws(Stop) -> Bool {
        let policy = reported == nil ? context.routing[packet.family] : nil
        switch policy?.way(of: routedMark.map { PossibleMarks($0) } ?? .any) {
        case .loopback: return true
        case .outside: return false
        case nil where routedMark == 0: return false
        case .unknown, nil:
            path.isMarkOpen = true
            return try decide()
        }
    }

    private mutating func arrive() throws(Stop) {
        packet.input = context.interfaces
        try pass(.prerouting)
        if transparentProxy != nil { return try pass(.input) }
        if try isKnownLocal() { return try pass(.input) }
        packet.output = context.interfaces
        try pass(.forward)
        packet.input = []
        try pass(.postrouting)
    }

    /// Crosses a hook as the kernel has traced it; where no trace begins, and none reaches the end of the hook, by its rules.
    private mutating func pass(_ hook: Hook) throws(Stop) {
        let isFirst = hook == .output || hook == .prerouting && packet.owner == nil
        guard let trace, isFirst || trace.contains(where: { $0.chain == TraceTable.last(hook) || $0.isDrop })
        else { return try cross(hook) }
        try follow(trace, at: hook)
    }

    private func isKnownLocal() throws(Stop) -> Bool {
        guard let isLocal else { throw .unknown }
        return isLocal
    }

    private var end: PacketPath.End {
        if let transparentProxy { return transparentProxy.map { .sidecar(port: $0) } ?? .unknown }
        guard let port = packet.destinationPort else { return .unknown }
        return isRedirected && isLocal == true ? .sidecar(port: port) : .application(port: port)
    }

    private var arrival: PacketPath.Arrival? {
        if let transparentProxy { return transparentProxy.map { .init(address: nil, port: $0) } }
        guard isLocal == true, let port = packet.destinationPort else { return nil }
        let known = packet.destination.compactMap(\.self)
        return .init(address: known.count == packet.destination.count ? IPAddress(bytes: known) : nil, port: port)
    }

    /// Whether another program than a mesh has changed the port: a proxy listens at 127.0.0.1 or an address of the pod's. Docker
    /// has its name server at 127.0.0.11.
    func staysAtLoopback(_ original: [UInt8?]) -> Bool {
        packet.family == .ip && packet.destination == original && original.first == 127 && original != [127, 0, 0, 1]
    }

    /// Whether a chain takes packets by TPROXY.
    private var takesFromLoopback: Bool { tables.contains(where: \.takesTransparently) }

    /// The answer to an open question: as it was assumed, else no.
    mutating func decide() throws(Stop) -> Bool {
        guard decisions.count < Self.maxDecisions else { throw .unknown }
        let decision = decisions.count < assumed.count ? assumed[decisions.count] : false
        decisions.append(decision)
        return decision
    }

    // MARK: hooks

    struct Place {
        var table: FilterTable
        var name: String
        var chain: FilterChain
        var base: BaseChain
        var isNat: Bool { base.type == "nat" }

        /// Chains of type nat are evaluated one after the other, where iptables has its own.
        func order(at hook: Hook) -> (Int32, Int32) {
            let isDestination = hook == .prerouting || hook == .output
            return (isNat ? isDestination ? BaseChain.dstnat : -BaseChain.dstnat : base.priority, base.priority)
        }
    }

    private static let conntrackPriority: Int32 = -200

    private mutating func cross(_ hook: Hook) throws(Stop) {
        var places: [Place] = []
        for table in tables where table.family == .inet || table.family == packet.family {
            for (name, chain) in table.chains {
                guard let base = chain.base, base.hook == hook else { continue }
                places.append(Place(table: table, name: name, chain: chain, base: base))
            }
        }
        try spend(tables.reduce(0) { $0 + $1.chains.count })
        places.sort { a, b in
            let (first, second) = (a.order(at: hook), b.order(at: hook))
            return first == second ? (a.table.name, a.name) < (b.table.name, b.name) : first < second
        }
        try arrange(&places, at: hook)
        let tracks = hook == .prerouting || hook == .output
        for place in places {
            if tracks, place.order(at: hook).0 > Self.conntrackPriority, packet.isTracked == false {
                packet.isTracked = packet.isExcepted.map { !$0 }
            }
            if place.isNat, packet.isExcepted == nil { throw .unknown }
            if place.isNat, isDone(hook) { continue }
            try evaluate(place, at: hook)
        }
        if tracks { packet.isTracked = packet.isExcepted.map { !$0 } }
        if tracks { hasDestinationNat = true } else if hook != .forward { hasSourceNat = true }
    }

    /// More than this leave more ways open than are followed.
    private static let maxDecisions = 16

    mutating func spend(_ count: Int) throws(Stop) {
        budget -= count
        if budget < 0 { throw .unknown }
    }

    /// At one priority the kernel first evaluates the chain of type nat that was created last, and which one that was is
    /// an open question.
    private mutating func arrange(_ places: inout [Place], at hook: Hook) throws(Stop) {
        for start in places.indices where places[start].isNat && !places[start].chain.rules.isEmpty {
            var first = start
            for other in places.indices[(start + 1)...] where places[other].isNat && !places[other].chain.rules.isEmpty
            {
                guard places[other].order(at: hook) == places[start].order(at: hook) else { break }
                try spend(1)
                guard try decide() else { break }
                first = other
            }
            places.swapAt(start, first)
        }
    }

    private func isDone(_ hook: Hook) -> Bool {
        if packet.isExcepted == true { return true }
        return hook == .prerouting || hook == .output ? hasDestinationNat : hasSourceNat
    }
}

extension FilterTable {
    /// Whether a rule takes packets by TPROXY.
    package var takesTransparently: Bool {
        chains.values.contains { $0.rules.contains { $0.parts.contains(where: \.isTransparentProxy) } }
    }
}

extension RulePart {
    /// As the mask does: what writes the protocol that conntrack knows only undoes it.
    var changesHeader: Bool {
        if case .writeHeader = self { true } else { false }
    }

    fileprivate var isTransparentProxy: Bool {
        switch self {
        case .transparentProxy, .target("TPROXY", _, _): true
        default: false
        }
    }
}
