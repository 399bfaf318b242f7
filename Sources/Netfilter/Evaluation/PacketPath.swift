package import Linux

/// The way of a connection's first packet through a namespace.
package struct PacketPath: Hashable, Sendable {
    /// A rule that matches, or the end of a base chain.
    package struct Step: Hashable, Sendable {
        package var hook: Hook
        package var priority: Int32
        package var chain: ChainName
        package var backend: Redirect.Backend
        /// Its number in its chain, from 1, and its handle where it has one; nil for the end of a base chain.
        package var rule: (number: Int, handle: UInt64?)? {
            get { number.map { ($0, handle) } }
            set { (number, handle) = (newValue?.number, newValue?.handle) }
        }
        private var number: Int?
        private var handle: UInt64?
        /// For people, such as `redirect to :15001`.
        package var verdict: String
        let effect: Effect
        /// Whether it decides where the packet ends.
        package var decides = false

        /// Its meaning for the packet's way.
        enum Effect: Hashable, Sendable {
            /// It sends the packet to an address, or drops it.
            case takes
            /// It hides the packet from the rules that follow.
            case hides
            /// It lets the packet go.
            case lets
            /// It is not known whether the rule matches, or what it does.
            case open
            /// It sets the packet's mark.
            case marks
            case none
        }

        init(
            hook: Hook, priority: Int32, chain: ChainName, backend: Redirect.Backend,
            rule: (number: Int, handle: UInt64?)?, verdict: String, effect: Effect
        ) {
            self.hook = hook
            self.priority = priority
            self.chain = chain
            self.backend = backend
            (number, handle) = (rule?.number, rule?.handle)
            self.verdict = verdict
            self.effect = effect
        }
    }

    package enum End: Hashable, Sendable {
        /// Its destination, whatever listens there.
        case application(port: UInt16)
        case sidecar(port: UInt16)
        case dropped
        case unknown
    }

    /// Where in the namespace a packet goes up to a socket.
    package struct Arrival: Hashable, Sendable {
        /// nil if it is not known to which of the namespace's addresses.
        package var address: IPAddress?
        package var port: UInt16

        package init(address: IPAddress?, port: UInt16) {
            (self.address, self.port) = (address, port)
        }
    }

    package var steps: [Step] = []
    package var end = End.unknown
    /// nil if it ends outside the namespace, or it is not known where.
    package var arrival: Arrival?
    /// Steps that are not kept.
    package var further = 0
    /// Whether it is not known where the packet's mark has it routed.
    var isMarkOpen = false

    /// The steps that decide where the packet ends.
    package var deciding: [Step] { steps.filter(\.decides) }

    package static let maxSteps = 64

    package init() {}

    mutating func append(_ step: Step) {
        if steps.count < Self.maxSteps { steps.append(step) } else { further += 1 }
    }

    /// Marks what decides where the packet ends: the last step that takes it, with those that hide it from others before; where
    /// there is none, the last rule that lets it go. If the end is not known, the last step that leaves it open.
    mutating func markDecision() {
        let open: [Step.Effect] = isMarkOpen ? [.open, .marks, .takes] : [.open, .takes]
        for effect in end == .unknown ? open : [.takes, .lets] {
            guard let index = steps.lastIndex(where: { $0.effect == effect }) else { continue }
            steps[index].decides = true
            if effect == .marks { steps[index].verdict += ", by which a routing rule may send it to a proxy" }
            break
        }
        for index in steps.indices where steps[index].effect == .hides { steps[index].decides = true }
    }
}

/// The direction of a first packet.
package enum PacketOrigin: Hashable, Sendable {
    /// A socket of the namespace sends it.
    case local
    /// It comes in by an interface other than `lo`.
    case outside
}
