public import Bypass
public import Linux
public import Matcher
public import Netfilter
internal import SystemPackage

/// One open namespace, for the length of one call: a netlink socket in it, and its place in the matcher's map.
public struct NamespaceSession: NamespaceKernel, ~Copyable {
    public enum Purpose: Sendable {
        /// Only our own rules matter: not what intercepts here, nor what was counted.
        case ownRules
        /// Everything is told to somebody.
        case telling
    }

    public let inode: UInt64
    /// What the namespace was opened by.
    public let path: String
    private let matcher: Matcher
    private let views: NamespaceViews
    private let purpose: Purpose
    private let legacy: [Interception]
    /// The namespace's own number, never given twice; nil before Linux 5.14.
    public let cookie: UInt64?
    private var socket: NetlinkSocket
    /// What was observed last, and what has been done since. Changes are made to no other generation of the ruleset.
    private var view: NamespaceView?
    /// The kernel itself has told, with the last batch, that `view` is what it holds: nothing has to be asked again.
    private var isCurrent = false

    /// Our rules as they were observed last.
    public var rules: [Ruleset.Rule] { view?.rules ?? [] }

    /// Enters the namespace on the calling thread, which belongs to the engine.
    public init(
        _ namespace: borrowing NetworkNamespace, for purpose: Purpose, matcher: Matcher, views: NamespaceViews
    ) throws(BypassError) {
        let inside = try Self.enter(namespace, purpose)
        inode = namespace.inode
        path = namespace.path
        self.matcher = matcher
        self.views = views
        self.purpose = purpose
        legacy = inside.legacy
        cookie = inside.socket.namespaceCookie
        socket = inside.socket
    }

    private struct Inside: ~Copyable {
        var socket: NetlinkSocket
        var legacy: [Interception]
    }

    private static func enter(
        _ namespace: borrowing NetworkNamespace, _ purpose: Purpose
    ) throws(BypassError) -> Inside {
        do throws(SystemCallError) {
            return try namespace.inside { () throws(SystemCallError) -> Inside in
                let legacy = purpose == .telling ? try LegacyTables.interceptions() : []
                return Inside(socket: try NetlinkSocket(), legacy: legacy)
            }
        } catch {
            throw BypassError(error)
        }
    }

    /// What an earlier call left behind, if it did: not looked at again. A batch is refused if it is no longer so.
    public mutating func recall() throws(KernelFailure) -> Observation? {
        guard let known = views.view(of: inode, cookie: cookie) else { return nil }
        view = known
        return try joined(known)
    }

    public mutating func observe() throws(KernelFailure) -> Observation {
        do throws(NetfilterError) {
            view = try look()
        } catch {
            views.forget(inode)
            throw KernelFailure(error)
        }
        guard let view else { preconditionFailure("looking gives a view") }
        views.keep(view, of: inode)
        return try joined(view)
    }

    /// The ruleset as it is now. If it is of the generation that is known, only our rules' counters are asked for.
    private mutating func look() throws(NetfilterError) -> NamespaceView {
        if isCurrent, let view {
            isCurrent = false
            return view
        }
        let generation = try socket.generation()
        if let view, view.generation == generation { return view }
        if var known = views.view(of: inode, cookie: cookie), known.generation == generation {
            if purpose == .telling { known.rules = try socket.reread(known.rules) }
            return known
        }
        // Without a cookie (before Linux 5.14) nothing is known of the next namespace with this inode number: 0 fits none.
        return NamespaceView(try socket.ruleset(generation: generation), cookie: cookie ?? 0, pin: matcher.pin)
    }

    private func joined(_ view: NamespaceView) throws(KernelFailure) -> Observation {
        do throws(SystemCallError) {
            return view.observation.joined(legacy: legacy, entry: try matcher.state(of: inode), now: Clock.boottime)
        } catch {
            throw .refused(BypassError(error))
        }
    }

    public mutating func execute(_ actions: [Action]) throws(KernelFailure) {
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
                case .setEntry(let entry): try matcher.set(entry, of: inode)
                case .removeEntry: try matcher.remove(inode)
                default: preconditionFailure("\(action) is carried out in the ruleset")
                }
            } catch {
                throw .refused(BypassError(error))
            }
        }
    }

    private mutating func commit(_ batch: ArraySlice<Action>) throws(KernelFailure) {
        let operations = batch.map { RuleForms.operations(for: $0, pin: matcher.pin) }
        do throws(NetfilterError) {
            let outcome = try socket.commit(Transaction(operations.flatMap(\.self)), generation: view?.generation)
            // What is known holds on, unless somebody else changes the ruleset: then its generation is another one.
            var rest = outcome.made[...]
            let made = operations.map { operations in
                defer { rest = rest.dropFirst(operations.count) }
                return rest.prefix(operations.count).compactMap(\.self)
            }
            if view?.apply(batch, made: made) != true { view = nil }
            isCurrent = outcome.generation != nil && outcome.generation == view?.generation
        } catch {
            isCurrent = false
            try repairPin(after: error)
            throw KernelFailure(error)
        }
    }

    /// xt_bpf looks the pin up when a rule is made. If the pin has gone, or something else stands there, that is all that
    /// is wrong: it is put back, and the batch can be tried again.
    private func repairPin(after error: NetfilterError) throws(KernelFailure) {
        guard case .refused(.insertRule, let errno, _) = error,
            [.noSuchFileOrDirectory, .permissionDenied, .invalidArgument].contains(errno)
        else { return }
        let wasRepaired: Bool
        do throws(MatcherError) {
            wasRepaired = try matcher.ensurePinned()
        } catch {
            throw .refused(BypassError(error))
        }
        if wasRepaired { throw .rulesetChanged }
    }

    /// How many connections were redirected before, and stay so; nil where that cannot be counted.
    public mutating func redirectedConnections() -> Int? {
        socket.redirectedConnections()
    }

    /// Ends the session. The socket has to be closed where nobody waits.
    public consuming func close() -> SharedDescriptor {
        SharedDescriptor(socket.intoDescriptor())
    }
}
