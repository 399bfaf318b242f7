internal import Bypass
internal import Linux
internal import Matcher
internal import Netfilter
internal import SystemPackage

/// One open namespace, for the length of one call: a netlink socket in it, and its place in the matcher's map.
struct NamespaceSession: NamespaceKernel, ~Copyable {
    let inode: UInt64
    /// What the namespace was opened by.
    let path: String
    private let matcher: Matcher
    private let legacy: [Interception]
    private var socket: NetlinkSocket
    /// Of the ruleset that was observed last; changes are made to no other.
    private var generation: UInt32?
    /// Our rules as they were observed last.
    private(set) var rules: [Ruleset.Rule] = []

    /// Enters the namespace on the calling thread, which belongs to the engine.
    init(_ namespace: borrowing NetworkNamespace, matcher: Matcher) throws(BypassError) {
        self.init(inode: namespace.inode, path: namespace.path, matcher: matcher, try Self.enter(namespace))
    }

    private init(inode: UInt64, path: String, matcher: Matcher, _ inside: consuming Inside) {
        self.inode = inode
        self.path = path
        self.matcher = matcher
        legacy = inside.legacy
        socket = inside.socket
    }

    private struct Inside: ~Copyable {
        var socket: NetlinkSocket
        var legacy: [Interception]
    }

    private static func enter(_ namespace: borrowing NetworkNamespace) throws(BypassError) -> Inside {
        do throws(SystemCallError) {
            return try namespace.inside { () throws(SystemCallError) -> Inside in
                Inside(socket: try NetlinkSocket(), legacy: try LegacyTables.interceptions())
            }
        } catch {
            throw BypassError(error)
        }
    }

    mutating func observe() throws(KernelFailure) -> Observation {
        let ruleset: Ruleset
        do throws(NetfilterError) {
            ruleset = try socket.ruleset()
        } catch {
            throw KernelFailure(error)
        }
        generation = ruleset.generation
        rules = ruleset.rules.filter {
            $0.isOurs(matcher.pin) || ($0.chain.family, $0.chain.table) == RuleForms.guardTable
        }
        let entry: MatcherEntry?
        do throws(SystemCallError) {
            entry = try matcher.entry(of: inode)
        } catch {
            throw .refused(BypassError(error))
        }
        return Observation(ruleset, legacy: legacy, entry: entry, pin: matcher.pin, now: Clock.boottime)
    }

    mutating func execute(_ actions: [Action]) throws(KernelFailure) {
        var rest = actions[...]
        while let action = rest.first {
            let batch = rest.prefix { $0.isInRuleset }
            if !batch.isEmpty {
                rest = rest.dropFirst(batch.count)
                try commit(batch)
                continue
            }
            rest = rest.dropFirst()
            do throws(SystemCallError) {
                switch action {
                case .setEntry(let entry): try matcher.set(entry.forMatcher, of: inode)
                case .removeEntry: try matcher.remove(inode)
                default: preconditionFailure("\(action) is carried out in the ruleset")
                }
            } catch {
                throw .refused(BypassError(error))
            }
        }
    }

    private mutating func commit(_ batch: ArraySlice<Action>) throws(KernelFailure) {
        let operations = batch.flatMap { RuleForms.operations(for: $0, pin: matcher.pin) }
        do throws(NetfilterError) {
            _ = try socket.commit(Transaction(operations), generation: generation)
            // Whatever is planned next has to be observed first: this was the last batch for that generation.
            generation = nil
        } catch {
            // xt_bpf looks the pin up when a rule is made. If the pin has gone, putting it back is all that is wrong.
            if case .refused(.insertRule, .noSuchFileOrDirectory, _) = error, (try? matcher.ensurePinned()) == true {
                throw .rulesetChanged
            }
            throw KernelFailure(error)
        }
    }

    /// How many connections were redirected before, and stay so; nil where that cannot be counted.
    mutating func redirectedConnections() -> Int? {
        socket.redirectedConnections()
    }

    /// Ends the session. The socket has to be closed where nobody waits.
    consuming func close() -> SharedDescriptor {
        SharedDescriptor(socket.intoDescriptor())
    }
}
