/// What nf_tables holds in a namespace, as far as it can matter to a bypass.
public struct Ruleset: Hashable, Sendable {
    public struct Table: Hashable, Sendable {
        public var family: Family
        public var name: String
        /// How many chains, sets, objects and flow tables are in it.
        public var use: UInt32
        /// Its chains are not asked (NFT_TABLE_F_DORMANT).
        public var isDormant = false
        /// It belongs to a process, which alone may change it (NFT_TABLE_F_OWNER).
        public var hasOwner = false
        /// What the kernel knows the table by: its name need not be UTF-8.
        var nameBytes: [UInt8]

        public init(family: Family, name: String, use: UInt32) {
            self.family = family
            self.name = name
            self.use = use
            nameBytes = Array(name.utf8)
        }
    }

    public struct Chain: Hashable, Sendable {
        public var name: ChainName
        /// nil for a chain that is only jumped to.
        public var base: BaseChain?
        /// How many rules are in it, or jump to it.
        public var use: UInt32
        /// What the kernel knows the chain by: its name need not be UTF-8.
        var nameBytes: [UInt8]

        public init(name: ChainName, base: BaseChain?, use: UInt32) {
            self.name = name
            self.base = base
            self.use = use
            nameBytes = Array(name.chain.utf8)
        }
    }

    public struct Rule: Hashable, Sendable {
        public var chain: ChainName
        public var handle: UInt64
        public var expressions: [Expression]

        public init(chain: ChainName, handle: UInt64, expressions: [Expression]) {
            self.chain = chain
            self.handle = handle
            self.expressions = expressions
        }

        /// Packets and bytes of the rule's counter; 0 if it has none.
        public var counted: (packets: UInt64, bytes: UInt64) {
            for case .counter(let packets, let bytes) in expressions { return (packets, bytes) }
            return (0, 0)
        }
    }

    /// What an expression of a rule does, as far as it can matter to a bypass.
    public enum Expression: Hashable, Sendable {
        /// xt_bpf with a pinned program.
        case matchBPF(pin: String)
        case counter(packets: UInt64, bytes: UInt64)
        case returnVerdict
        /// A jump or goto.
        case jump(to: String)
        /// A verdict that is looked up in a map: it may lead to any chain of the table.
        case verdictMap
        /// Destination nat: `dnat`, `redirect`, or xtables' DNAT and REDIRECT. The family, where the kernel tells it.
        case destinationNat(Family?)
        /// `tproxy`, or xtables' TPROXY.
        case transparentProxy
        /// Anything else.
        case other
    }

    /// The ruleset's generation: another one after every change, by anybody.
    public var generation: UInt32
    public var tables: [Table]
    public var chains: [Chain]
    /// Of the tables that can take connections to a proxy: those with a base chain of type nat, or one in PREROUTING.
    /// In the order in which they stand in their chains.
    public var rules: [Rule]

    public init(generation: UInt32, tables: [Table] = [], chains: [Chain] = [], rules: [Rule] = []) {
        self.generation = generation
        self.tables = tables
        self.chains = chains
        self.rules = rules
    }
}
