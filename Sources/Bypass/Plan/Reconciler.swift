/// Observe, plan, execute, until the namespace is in the desired state.
package enum Reconciler {
    /// The state before and the state now.
    package struct Outcome: Hashable, Sendable {
        package var before: Observation
        package var after: Observation
        /// Whether anything had to be done.
        package var changed: Bool
    }

    /// Attempts at a plan while the ruleset keeps changing, if the deadline allows.
    static let attempts = 16

    /// Brings a namespace into the desired state, or throws and leaves it as it was. A failed `off` is
    /// not undone: ``end(_:in:)`` continues from there.
    package static func reconcile<Kernel: NamespaceKernel & ~Copyable>(
        _ desired: DesiredState, in kernel: inout Kernel
    ) throws(BypassError) -> Outcome {
        var families = Family.allCases
        /// Undoing what was half done puts right what else is wrong, too.
        var wasRepaired = false
        for attempt in 0..<attempts {
            guard kernel.begin(attempt: attempt) else { break }
            do throws(KernelFailure) {
                let (before, plan) = try prepare(desired, families, mayUseCache: attempt == 0, in: &kernel)
                let after: Observation
                do throws(KernelFailure) {
                    if !plan.actions.isEmpty { try kernel.execute(plan.actions) }
                    after = plan.actions.isEmpty ? before : try observeOutcome(in: &kernel)
                } catch {
                    if desired == .off {
                        // A bypass that was to end is not restored, not even for a moment.
                    } else if error == .rulesetChanged {
                        // Nothing was changed but the entry. The cached ruleset may be out of date: it restores nothing else.
                        restoreEntry(of: before, in: &kernel)
                    } else {
                        let families = families.filter { .familyUnsupported($0) != error }
                        wasRepaired = undo(to: before, families, in: &kernel) || wasRepaired
                    }
                    throw error
                }
                return Outcome(before: before, after: after, changed: wasRepaired || !plan.actions.isEmpty)
            } catch {
                switch error {
                case .rulesetChanged: continue
                case .familyUnsupported(let family) where families.count > 1: families.removeAll { $0 == family }
                case .familyUnsupported: throw .unsupported("this kernel has no nat for IPv4: load nf_nat")
                case .refused(let reason): throw reason
                }
            }
        }
        throw rulesetKeepsChanging("nf_tables batch")
    }

    /// Observes a namespace, again as often as the ruleset changes meanwhile.
    package static func observe<Kernel: NamespaceKernel & ~Copyable>(
        _ kernel: inout Kernel
    ) throws(BypassError) -> Observation {
        for attempt in 0..<attempts {
            guard kernel.begin(attempt: attempt) else { break }
            do throws(KernelFailure) {
                return try kernel.observe()
            } catch {
                if case .refused(let reason) = error { throw reason }
            }
        }
        throw rulesetKeepsChanging("reading the ruleset")
    }

    /// Observes what has been done. If that is not possible it has to be undone, so it is tried more than once; all the
    /// more if the ruleset only changes meanwhile.
    private static func observeOutcome<Kernel: NamespaceKernel & ~Copyable>(
        in kernel: inout Kernel
    ) throws(KernelFailure) -> Observation {
        var failure = KernelFailure.rulesetChanged
        for attempt in 0..<attempts {
            guard kernel.begin(attempt: attempt) else { break }
            do throws(KernelFailure) {
                return try kernel.observe()
            } catch {
                failure = error
            }
        }
        // The changes are made and stay: this must not be reported as if nothing had changed.
        if failure == .rulesetChanged { failure = .refused(rulesetKeepsChanging("reading the ruleset")) }
        throw failure
    }

    static func rulesetKeepsChanging(_ operation: String) -> BypassError {
        .kernelRefused(
            operation: operation, errno: "EAGAIN",
            detail: "another program keeps changing this namespace's ruleset: try again")
    }

    /// What is cached is good enough for a plan that changes the ruleset: the kernel carries that out only if the
    /// ruleset is still the cached one. Any other plan is made for what is there now.
    private static func prepare<Kernel: NamespaceKernel & ~Copyable>(
        _ desired: DesiredState, _ families: [Family], mayUseCache: Bool, in kernel: inout Kernel
    ) throws(KernelFailure) -> (Observation, Plan) {
        if mayUseCache, let cached = try kernel.cachedObservation() {
            let plan = Plan(for: desired, given: cached, families: families)
            if plan.actions.contains(where: \.isInRuleset) { return (cached, plan) }
        }
        let observation = try kernel.observe()
        return (observation, Plan(for: desired, given: observation, families: families))
    }

    private static func restoreEntry<Kernel: NamespaceKernel & ~Copyable>(
        of before: Observation, in kernel: inout Kernel
    ) {
        try? kernel.execute([before.entry.map(Action.setEntry) ?? .removeEntry])
    }

    /// Back to what was before a step failed: its entry, and the rules that go with it. What can't be undone either is
    /// harmless: the entry comes first, and rules without a live one do nothing.
    ///
    /// - Returns: whether that changed the ruleset.
    private static func undo<Kernel: NamespaceKernel & ~Copyable>(
        to before: Observation, _ families: [Family], in kernel: inout Kernel
    ) -> Bool {
        guard kernel.begin(attempt: 0), let now = try? kernel.observe() else {
            // The switch at least: no bypass may be on that its caller takes for failed.
            restoreEntry(of: before, in: &kernel)
            return false
        }
        if now.hasSameRuleset(as: before) {
            restoreEntry(of: before, in: &kernel)
            return false
        }
        let desired: DesiredState
        if let entry = before.entry, entry.isLive(at: now.now) {
            desired = .on(entry.hooks, scope: entry.scope, deadline: entry.deadline)
        } else {
            desired = .off
        }
        let plan = Plan(for: desired, given: now, families: families)
        return (try? kernel.execute(plan.actions)) != nil && plan.actions.contains(where: \.isInRuleset)
    }
}

/// The kernel's side of one open namespace: what is observed and acted upon.
package protocol NamespaceKernel: ~Copyable {
    /// Begins an attempt. The first one sets the deadline for all attempts; later ones begin after a pause, since the
    /// ruleset has changed meanwhile.
    ///
    /// - Returns: false if the deadline has passed.
    mutating func begin(attempt: Int) -> Bool
    /// What was observed earlier, if it is still known, without asking the kernel. It may be out of date: `execute` then
    /// refuses what is to be done in the ruleset, with `rulesetChanged`.
    mutating func cachedObservation() throws(KernelFailure) -> Observation?
    /// The namespace's entry in the matcher's map; nil if it has none.
    mutating func entry() throws(BypassError) -> MapEntry?
    mutating func observe() throws(KernelFailure) -> Observation
    /// Carries out actions; those in the ruleset only if the ruleset is still the observed one.
    mutating func execute(_ actions: [Action]) throws(KernelFailure)
}

/// The kernel's kinds of refusals.
package enum KernelFailure: Error, Hashable, Sendable {
    /// The ruleset has changed meanwhile: observe and plan again.
    case rulesetChanged
    /// The kernel can't do nat for this family.
    case familyUnsupported(Family)
    case refused(BypassError)
}
