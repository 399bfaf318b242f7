import BypassAPI
import Testing

@testable import Bypass

@Suite struct ReconcilerTests {
    private let on = DesiredState.on(both, deadline: 0)

    @Test("The outcome has the state before and after, and whether anything was done")
    func outcome() throws {
        var kernel = FakeKernel(InitialState.istio.namespace)
        let first = try Reconciler.reconcile(on, in: &kernel)
        #expect(first.changed)
        #expect(first.before.entry == nil)
        #expect(first.after.entry == MapEntry(deadline: 0, hooks: both))
        let second = try Reconciler.reconcile(on, in: &kernel)
        #expect(!second.changed)
        #expect(second.after == first.after)
    }

    @Test("A ruleset that another program changes meanwhile is looked at again", arguments: [1, 15])
    func changedRuleset(_ times: Int) throws {
        var kernel = FakeKernel(InitialState.nothing.namespace)
        kernel.refusals = Array(repeating: .rulesetChanged, count: times)
        #expect(try Reconciler.reconcile(on, in: &kernel).changed)
        #expect(kernel.namespace.direct == Set(NATChain.all))
    }

    @Test("A ruleset that never holds still is given up, and nothing has changed")
    func neverStill() {
        var kernel = FakeKernel(InitialState.nothing.namespace)
        kernel.refusals = Array(repeating: .rulesetChanged, count: 1000)
        #expect {
            try Reconciler.reconcile(on, in: &kernel)
        } throws: { error in
            guard case BypassError.kernelRefused(_, "EAGAIN", _) = error else { return false }
            return true
        }
        #expect(kernel.refusals.count > 900)
        #expect(kernel.namespace == InitialState.nothing.namespace)
    }

    @Test("When the time is over nothing more is tried, and nothing has changed")
    func timeIsOver() {
        var kernel = FakeKernel(InitialState.nothing.namespace)
        kernel.refusals = Array(repeating: .rulesetChanged, count: 1000)
        kernel.maxAttempts = 3
        #expect(throws: BypassError.self) { try Reconciler.reconcile(on, in: &kernel) }
        #expect(kernel.refusals.count == 997)
        #expect(kernel.namespace == InitialState.nothing.namespace)
    }

    @Test("After a failure everything is as it was", arguments: InitialState.allCases, DesiredState.samples)
    func undo(_ world: InitialState, _ before: DesiredState) throws {
        for desired in DesiredState.samples where desired != .off {
            for failing in [FakeKernel.Step.ruleset, .lastEntry] {
                var kernel = FakeKernel(world.namespace)
                _ = try Reconciler.reconcile(before, in: &kernel)
                let old = kernel.namespace.canonical
                kernel.failing = failing
                do throws(BypassError) {
                    _ = try Reconciler.reconcile(desired, in: &kernel)
                } catch {
                    #expect(error == FakeKernel.refusal)
                    if kernel.namespace.canonical != old {
                        Issue.record("\(before), then \(desired) that failed: \(old) became \(kernel.namespace)")
                        return
                    }
                }
            }
        }
    }

    @Test("A kernel without nat for IPv6 gets a bypass of IPv4, once")
    func withoutIPv6() throws {
        var kernel = FakeKernel(InitialState.nothing.namespace)
        kernel.unsupported = [.ip6]
        let outcome = try Reconciler.reconcile(on, in: &kernel)
        #expect(outcome.changed)
        #expect(Health(outcome.after).state == .on)
        #expect(kernel.namespace.direct == [ipPrerouting, ipOutput])
        let whole = kernel.namespace.canonical

        let again = try Reconciler.reconcile(on, in: &kernel)
        #expect(!again.changed)
        #expect(kernel.namespace.canonical == whole)

        #expect(try Reconciler.reconcile(.off, in: &kernel).changed)
        #expect(kernel.namespace.canonical == InitialState.nothing.namespace)
    }

    @Test("A kernel without nat at all is unsupported")
    func withoutNat() {
        var kernel = FakeKernel(InitialState.nothing.namespace)
        kernel.unsupported = [.ip, .ip6]
        #expect {
            try Reconciler.reconcile(on, in: &kernel)
        } throws: { error in
            guard case BypassError.unsupported = error else { return false }
            return true
        }
        #expect(kernel.namespace == InitialState.nothing.namespace)
    }

    @Test("A namespace that cannot be looked at is left alone")
    func cannotObserve() {
        var kernel = FakeKernel(InitialState.istio.namespace)
        kernel.isBlind = true
        #expect(throws: FakeKernel.refusal) { try Reconciler.reconcile(on, in: &kernel) }
        #expect(kernel.namespace == InitialState.istio.namespace)
    }

    @Test("What is remembered and no longer so is found out, and looked at again")
    func outdatedMemory() throws {
        var kernel = FakeKernel(InitialState.istio.namespace)
        kernel.memory = Observation(now: 1)
        let outcome = try Reconciler.reconcile(on, in: &kernel)
        #expect(outcome.before.tables == InitialState.istio.namespace.observation.tables)
        #expect(Health(kernel.namespace.observation).state == .on)
    }

    @Test("A bypass that was turned on, and cannot be observed afterwards, is not left on")
    func blindAfterTheBatch() throws {
        for before in [DesiredState.off, .on([.output], deadline: 0)] {
            var kernel = FakeKernel(InitialState.istio.namespace)
            _ = try Reconciler.reconcile(before, in: &kernel)
            let entry = kernel.namespace.entry
            kernel.isBlindAfterBatch = true
            #expect(throws: FakeKernel.refusal) { try Reconciler.reconcile(on, in: &kernel) }
            #expect(kernel.namespace.entry == entry)
        }
    }

    @Test("An outdated memory in whose place nothing can be done leaves no entry")
    func outdatedMemoryOfWhatIsRefused() {
        var kernel = FakeKernel(InitialState.nothing.namespace)
        kernel.memory = Observation(now: 1)
        // Since then another program has made the guard's table theirs.
        kernel.namespace.guardChains = [:]
        let before = kernel.namespace
        kernel.isRefusing = true
        #expect(throws: FakeKernel.refusal) { try Reconciler.reconcile(on, in: &kernel) }
        #expect(kernel.namespace == before)
    }

    @Test("What is repaired while a plan for an outdated memory is undone was changed, too")
    func repairedOnTheWay() throws {
        var kernel = FakeKernel(InitialState.istio.namespace)
        _ = try Reconciler.reconcile(on, in: &kernel)
        // Remembered: the guard is gone. Since then iptables' rules of IPv6 have gone, too.
        kernel.memory = kernel.namespace.observation
        kernel.memory?.guardChains = nil
        let entry = try #require(kernel.namespace.observation.entry)
        kernel.namespace = InitialState.istio.namespace
        kernel.namespace.entry = entry
        let outcome = try Reconciler.reconcile(on, in: &kernel)
        #expect(outcome.changed)
        #expect(Health(outcome.after).state == .on)
    }

    @Test("A memory in which all is done is not believed")
    func deceptiveMemory() throws {
        var kernel = FakeKernel(InitialState.istio.namespace)
        _ = try Reconciler.reconcile(on, in: &kernel)
        kernel.memory = kernel.namespace.observation
        let entry = kernel.namespace.observation.entry
        kernel.namespace = InitialState.istio.namespace
        kernel.memory?.entry = entry
        let outcome = try Reconciler.reconcile(on, in: &kernel)
        #expect(outcome.changed)
        #expect(Health(kernel.namespace.observation).state == .on)
    }
}

/// A kernel that can be set to refuse.
struct FakeKernel: NamespaceKernel {
    enum Step: Sendable {
        /// A batch.
        case ruleset
        /// The update of the map that ends `on`.
        case lastEntry
    }

    static let refusal = BypassError.kernelRefused(operation: "test", errno: "EPERM", detail: "")

    var namespace: ModelNamespace
    /// What the next batches are refused with.
    var refusals: [KernelFailure] = []
    var unsupported: FamilySet = []
    /// Refused the next time, and then no more.
    var failing: Step?
    var isBlind = false
    /// From the next batch on.
    var isBlindAfterBatch = false
    /// How many there is time for.
    var maxAttempts = Int.max
    /// Every batch.
    var isRefusing = false
    /// Every batch with an action in it.
    var refusedPart: Action.Part?
    /// Every change of the map.
    var isMapRefusing = false
    /// Of every entry that was written.
    private(set) var deadlines: [UInt64] = []
    /// What an earlier call observed.
    var memory: Observation?
    /// What the next batch is planned for.
    private var basis: Observation?

    init(_ namespace: ModelNamespace) {
        self.namespace = namespace
    }

    mutating func begin(attempt: Int) -> Bool { attempt < maxAttempts }

    mutating func cachedObservation() throws(KernelFailure) -> Observation? {
        basis = memory
        return memory
    }

    mutating func entry() throws(BypassError) -> MapEntry? { namespace.entry }

    mutating func observe() throws(KernelFailure) -> Observation {
        if isBlind { throw .refused(Self.refusal) }
        basis = namespace.observation
        return namespace.observation
    }

    mutating func execute(_ actions: [Action]) throws(KernelFailure) {
        for step in ModelNamespace.steps(of: actions) {
            if step[0].isInRuleset {
                let now = namespace.observation
                if let basis, (basis.tables, basis.guardChains) != (now.tables, now.guardChains) {
                    throw .rulesetChanged
                }
                let isRefused = refusedPart.map { part in step.contains { $0.part == part } } ?? false
                if isRefusing || isRefused { throw .refused(Self.refusal) }
                isBlind = isBlind || isBlindAfterBatch
                if !refusals.isEmpty { throw refusals.removeFirst() }
                if let family = step.lazy.compactMap(\.family).first(where: unsupported.contains) {
                    throw .familyUnsupported(family)
                }
            }
            if isMapRefusing && !step[0].isInRuleset { throw .refused(Self.refusal) }
            if case .setEntry(let entry) = step[0] { deadlines.append(entry.deadline) }
            if let failing, failing.isAt(step, of: actions) {
                self.failing = nil
                throw .refused(Self.refusal)
            }
            do throws(ModelNamespace.Refusal) {
                _ = try namespace.execute(step)
            } catch {
                Issue.record("the kernel would refuse \(error.action) in \(namespace)")
                throw .refused(Self.refusal)
            }
        }
    }
}

extension FakeKernel.Step {
    fileprivate func isAt(_ step: [Action], of actions: [Action]) -> Bool {
        switch self {
        case .ruleset: step[0].isInRuleset
        case .lastEntry: step == actions.suffix(1) && !step[0].isInRuleset
        }
    }
}

extension Action {
    /// The last of the families that it is about: a kernel without nat for IPv6 refuses the inet rule, too.
    fileprivate var family: Family? {
        switch self {
        case .createTable(let family), .deleteTable(let family): family
        case .createChain(let natChain), .insertRule(let natChain, _), .deleteRule(let natChain, _),
            .deleteChain(let natChain):
            natChain.family
        case .createGuardChain(_, let families, _), .replaceGuardRules(_, let families, _): families.last
        default: nil
        }
    }
}
