/// The nf_tables ruleset of a namespace, as far as it can matter to a bypass.
package struct Ruleset: Hashable, Sendable {
    package struct Table: Hashable, Sendable {
        package var family: Family
        package var name: String
        /// The number of its chains, sets, objects and flow tables.
        package var use: UInt32
        /// Its chains are not asked (NFT_TABLE_F_DORMANT).
        package var isDormant = false
        /// It belongs to a process, which alone may change it (NFT_TABLE_F_OWNER).
        package var hasOwner = false
        /// The kernel's key of the table: its name need not be UTF-8.
        var nameBytes: [UInt8]

        package init(family: Family, name: String, use: UInt32) {
            self.family = family
            self.name = name
            self.use = use
            nameBytes = Array(name.utf8)
        }
    }

    package struct Chain: Hashable, Sendable {
        package var name: ChainName
        /// nil for a chain that is only jumped to.
        package var base: BaseChain?
        /// The number of rules in it, and of jumps to it.
        package var use: UInt32
        /// The kernel's key of the chain: its name need not be UTF-8.
        var nameBytes: [UInt8]

        package init(name: ChainName, base: BaseChain?, use: UInt32) {
            self.name = name
            self.base = base
            self.use = use
            nameBytes = Array(name.chain.utf8)
        }
    }

    package struct Rule: Hashable, Sendable {
        package var chain: ChainName
        package var handle: UInt64
        package var expressions: [Expression]
        /// The number of rules before it in its chain, if the whole ruleset was read.
        package var position = 0

        package init(chain: ChainName, handle: UInt64, expressions: [Expression]) {
            self.chain = chain
            self.handle = handle
            self.expressions = expressions
        }

        package var hasCounter: Bool {
            expressions.contains { if case .counter = $0 { true } else { false } }
        }

        /// Packets and bytes of the rule's counter; 0 if it has none.
        package var counted: (packets: UInt64, bytes: UInt64) {
            get {
                for case .counter(let packets, let bytes) in expressions { return (packets, bytes) }
                return (0, 0)
            }
            set {
                for index in expressions.indices {
                    guard case .counter = expressions[index] else { continue }
                    expressions[index] = .counter(packets: newValue.packets, bytes: newValue.bytes)
                    return
                }
            }
        }
    }

    /// A rule that is known, and what it has counted.
    package struct CountedRule: Hashable, Sendable {
        package let chain: ChainName
        package let handle: UInt64
        package var packets: UInt64
        package var bytes: UInt64

        package init(chain: ChainName, handle: UInt64, packets: UInt64 = 0, bytes: UInt64 = 0) {
            self.chain = chain
            self.handle = handle
            self.packets = packets
            self.bytes = bytes
        }

        package init(_ rule: Rule) {
            let (packets, bytes) = rule.counted
            self.init(chain: rule.chain, handle: rule.handle, packets: packets, bytes: bytes)
        }
    }

    /// The effect of a rule's expression, as far as it can matter to a bypass.
    package enum Expression: Hashable, Sendable {
        /// xt_bpf with a pinned program.
        case matchBPF(pin: String)
        /// xt_addrtype: the packet is for an address of this namespace.
        case addressTypeIsLocal
        case counter(packets: UInt64, bytes: UInt64)
        case returnVerdict, acceptVerdict
        /// A jump or goto.
        case jump(to: String)
        /// A verdict that is looked up in a map: it may lead to any chain of the table.
        case verdictMap
        /// Destination nat: `dnat`, `redirect`, or xtables' DNAT and REDIRECT. The family, where the kernel reports it.
        case destinationNat(Family?)
        /// `tproxy`, or xtables' TPROXY.
        case transparentProxy
        /// Loads a register.
        case loads(Loaded)
        /// Compares what was loaded.
        case comparison(isEqual: Bool)
        /// Writes what was loaded into a mark.
        case sets(Mark)
        /// Writes what was loaded into the transport protocol of the IP header.
        case setsTransport(Family)
        /// `notrack`, or xtables' CT that does the same.
        case untracks
        /// A target of x_tables that writes a mark.
        case marks(MarkWrite)
        /// Anything else.
        case other

        package enum Mark: Hashable, Sendable {
            case packet, connection
        }

        package enum Loaded: Hashable, Sendable {
            case interface, constant
            /// The transport protocol, behind whatever headers of IPv6.
            case transport
            case mark(Mark)
        }
    }

    /// The ruleset's generation: another one after every change, by anybody.
    package var generation: UInt32
    /// All of it is of that generation. Otherwise the ruleset was changed while it was read.
    package var isSettled = true
    package var tables: [Table]
    /// Those that may redirect, and those in which rules of ours can stand.
    package var chains: [Chain]
    /// Our own, in the order in which they stand in their chains.
    package var rules: [Rule]
    /// The base chains from which a redirect can be reached, over whatever jumps.
    package var redirects = Redirects()
    package var nat = NatRules()
    package var untracking: [Untracking] = []
    /// Those in front of a redirect in the chains in which rules of ours can stand.
    package var bareVerdicts: [BareVerdict] = []
    package var unreadable: [UnreadableRules] = []
    /// Whether something is unreadable only now, since other large rulesets are being read.
    package var lacksMemory = false

    package init(generation: UInt32, tables: [Table] = [], chains: [Chain] = [], rules: [Rule] = []) {
        self.generation = generation
        self.tables = tables
        self.chains = chains
        self.rules = rules
    }
}
