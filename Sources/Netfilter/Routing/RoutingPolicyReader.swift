internal import Glibc
internal import Linux
internal import SystemPackage

extension NetlinkSocket {
    /// The routing rules of an address family, and of the tables that packets with such marks are routed by, whether they lead
    /// to `lo`. For a socket of rtnetlink's.
    package mutating func routingPolicy(
        _ family: Family, for marks: [PossibleMarks]
    ) throws(NetfilterError) -> RoutingPolicy {
        // AF_INET and AF_INET6 have the same numbers.
        let domain = family.rawValue
        var policy = RoutingPolicy(rules: try routingRules(domain))
        let tables = policy.tables(for: marks)
        if tables.count > Self.maxTables { throw .tooMany("routing tables") }
        for table in tables {
            policy.loopbackPrefixes[table] = try longestPrefix(domain, leadingToLoopbackIn: table)
        }
        return policy
    }

    private static let maxRules = 4096
    private static let maxTables = 16

    private mutating func routingRules(_ domain: UInt8) throws(NetfilterError) -> [RoutingRule] {
        // struct fib_rule_hdr of linux/fib_rules.h.
        let header = [domain] + [UInt8](repeating: 0, count: 11)
        let none: (rules: [RoutingRule], isComplete: Bool) = ([], true)
        let read = try dumpRouting(Self.getRule, header, "reading routing rules", into: none) { found, message in
            guard message.type == Self.newRule else { return }
            guard let rule = message.routingRule, found.rules.count < Self.maxRules else {
                found.isComplete = false
                return
            }
            found.rules.append(rule)
        }
        if !read.isComplete { throw .tooMany("routing rules") }
        return read.rules
    }

    /// Of a table's local routes, and of those by `lo`: all local ones lead there, whichever interface has the address. The
    /// kernel selects them: a pod's table can have 100,000 others.
    private mutating func longestPrefix(
        _ domain: UInt8, leadingToLoopbackIn table: UInt32
    ) throws(NetfilterError) -> Int? {
        // struct rtmsg of linux/rtnetlink.h: the type is its eighth byte.
        var header = [domain] + [UInt8](repeating: 0, count: 11)
        let inTable = Self.attribute(Self.inTable, table)
        // The loopback is always the first interface of a namespace.
        let byInterface = try longestPrefix(header + inTable + Self.attribute(Self.byInterface, 1))
        header[7] = Self.localRoute
        let local = try longestPrefix(header + inTable)
        return [byInterface, local].compactMap(\.self).max()
    }

    private mutating func longestPrefix(_ request: [UInt8]) throws(NetfilterError) -> Int? {
        try dumpRouting(Self.getRoute, request, "reading routes", into: nil) { (longest: inout Int?, message) in
            guard message.type == Self.newRoute, let prefix = message.prefixOfRoute else { return }
            longest = max(longest ?? 0, prefix)
        }
    }

    /// Again as often as what is dumped changes meanwhile.
    private mutating func dumpRouting<Found>(
        _ type: UInt16, _ request: [UInt8], _ operation: StaticString, into nothing: Found,
        _ add: (inout Found, NetlinkMessage) -> Void
    ) throws(NetfilterError) -> Found {
        for _ in 0..<Self.dumpAttempts {
            var found = nothing
            let sequence = takeSequence()
            var requests = MessageBuffer(messages: 1, largest: Self.largestRoutingRequest)
            requests.append(type, flags: .dump, sequence: sequence, payload: request)
            do throws(NetfilterError) {
                if try dump(requests, sequence, for: operation, { add(&found, $0) }) { return found }
            } catch {
                guard type == Self.getRoute, case .systemCall(let cause) = error, cause.errno == .noSuchFileOrDirectory
                else { throw error }
                // There is no such table.
                return nothing
            }
        }
        throw .changesMeanwhile(operation)
    }

    private static let dumpAttempts = 4
    private static let largestRoutingRequest = 128
    /// RTM_NEWROUTE, RTM_GETROUTE, RTM_NEWRULE and RTM_GETRULE of linux/rtnetlink.h.
    private static let newRoute: UInt16 = 24
    private static let getRoute: UInt16 = 26
    private static let newRule: UInt16 = 32
    private static let getRule: UInt16 = 34
    /// RTA_OIF and RTA_TABLE.
    private static let byInterface: UInt16 = 4
    private static let inTable: UInt16 = 15
    /// RTN_LOCAL.
    private static let localRoute: UInt8 = 2
}

extension NetfilterError {
    fileprivate static func tooMany(_ what: String) -> NetfilterError {
        .systemCall(SystemCallError("reading \(what), of which there are too many", .noBufferSpace))
    }
}

extension NetlinkMessage {
    /// Of a route that packets take: the length of its prefix. IPv6's blackholes are at the loopback, too.
    fileprivate var prefixOfRoute: Int? {
        let types: ClosedRange<UInt8> = 1...2  // RTN_UNICAST and RTN_LOCAL
        guard unsafe bytes.count >= 12, unsafe types.contains(bytes[7]) else { return nil }
        return unsafe Int(bytes[1])
    }

    /// nil if it is cut off.
    var routingRule: RoutingRule? {
        guard unsafe bytes.count >= 12 else { return nil }
        let header = unsafe Array(bytes[..<8])
        var rule = RoutingRule(priority: 0, action: .nothing)
        var (target, table): (UInt32?, UInt32?) = (nil, nil)
        let flags = unsafe bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self)
        rule.isInverted = flags & 2 != 0  // FIB_RULE_INVERT
        // Addresses and the type of service.
        if header[1...3].contains(where: { $0 != 0 }) { rule.others = .maybe }
        for attribute in attributes(after: 12) {
            let number = attribute.hostUInt32 ?? 0
            switch RuleAttribute(rawValue: attribute.type) {
            case .priority: rule.priority = number
            case .mark: rule.mark = number
            case .mask: rule.mask = number
            case .table: table = number
            case .target: target = number
            // What the namespace itself sends counts as come in by the loopback.
            case .input: rule.others = min(rule.others, attribute.isString("lo") ? .yes : .no)
            case .suppressedPrefix: rule.shortestPrefix = Int(Int32(bitPattern: number)) + 1
            case .suppressedGroup where number == .max, .virtualRouting where attribute.uint8 == 0: break
            case .realm, .padding, .origin: break
            // Another condition, perhaps one of a later kernel.
            default: rule.others = min(rule.others, .maybe)
            }
        }
        rule.action = Self.action(header[7], table: table ?? UInt32(header[4]), target: target)
        return rule
    }

    /// FR_ACT_TO_TBL, FR_ACT_GOTO, FR_ACT_NOP, and from FR_ACT_BLACKHOLE to FR_ACT_PROHIBIT, of linux/fib_rules.h.
    private static func action(_ number: UInt8, table: UInt32, target: UInt32?) -> RoutingRule.Action {
        switch number {
        case 1: .table(table == 0 ? nil : table)
        case 2: target.map { .goTo($0) } ?? .nothing
        case 3: .nothing
        case 6...8: .refuse
        default: .table(nil)
        }
    }
}

/// FRA_* of linux/fib_rules.h.
private enum RuleAttribute: CInt {
    case input = 3
    case target = 4
    case priority = 6
    case mark = 10
    case realm = 11
    case suppressedGroup = 13
    case suppressedPrefix = 14
    case table = 15
    case mask = 16
    case padding = 18
    case virtualRouting = 19
    case origin = 21
}
