/// Observe, plan, execute, until the wish is true.
public enum Reconciler {
    /// What was before, and what is now.
    public struct Outcome: Hashable, Sendable {
        public var before: Observation
        public var after: Observation
        /// Whether anything had to be done.
        public var changed: Bool
    }

    /// How often somebody else may change the ruleset between our look and our step.
    private static let attempts = 16

    /// Makes `wish` true in a namespace, or throws and leaves things as they were.
    public static func reconcile<Kernel: NamespaceKernel & ~Copyable>(
        _ wish: Wish, in kernel: inout Kernel
    ) throws(BypassError) -> Outcome {
        var families = Family.allCases
        /// Undoing what was half done puts right what else is wrong, too.
        var wasRepaired = false
        for attempt in 0..<attempts {
            do throws(KernelFailure) {
                let (before, plan) = try prepare(wish, families, mayRecall: attempt == 0, in: &kernel)
                let after: Observation
                do throws(KernelFailure) {
                    if !plan.actions.isEmpty { try kernel.execute(plan.actions) }
                    after = plan.actions.isEmpty ? before : try observeOutcome(in: &kernel)
                } catch {
                    if error == .rulesetChanged {
                        // Nothing was done in it: what was remembered of it need not be so, and is no way back.
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
        throw restless("nf_tables batch")
    }

    /// Looks at a namespace, again as often as the ruleset changes meanwhile.
    public static func observe<Kernel: NamespaceKernel & ~Copyable>(
        _ kernel: inout Kernel
    ) throws(BypassError) -> Observation {
        for _ in 0..<attempts {
            do throws(KernelFailure) {
                return try kernel.observe()
            } catch {
                if case .refused(let reason) = error { throw reason }
            }
        }
        throw restless("reading the ruleset")
    }

    /// Looks at what has been done. If that cannot be seen it has to be undone, so it is worth more than one look; all the
    /// more if somebody else only changes the ruleset meanwhile.
    private static func observeOutcome<Kernel: NamespaceKernel & ~Copyable>(
        in kernel: inout Kernel
    ) throws(KernelFailure) -> Observation {
        for _ in 1..<attempts {
            if let observation = try? kernel.observe() { return observation }
        }
        do throws(KernelFailure) {
            return try kernel.observe()
        } catch {
            // What was done stands: it is no longer as if nothing had been.
            if case .rulesetChanged = error { throw .refused(restless("reading the ruleset")) }
            throw error
        }
    }

    private static func restless(_ operation: String) -> BypassError {
        .kernelRefused(
            operation: operation, errno: "EAGAIN",
            detail: "another program keeps changing this namespace's ruleset: try again")
    }

    /// What is remembered is good enough for a plan that changes the ruleset: the kernel carries that out only if the
    /// ruleset is still the remembered one. Any other plan is made for what is there now.
    private static func prepare<Kernel: NamespaceKernel & ~Copyable>(
        _ wish: Wish, _ families: [Family], mayRecall: Bool, in kernel: inout Kernel
    ) throws(KernelFailure) -> (Observation, Plan) {
        if mayRecall, let recalled = try kernel.recall() {
            let plan = Plan(for: wish, given: recalled, families: families)
            if plan.actions.contains(where: \.isInRuleset) { return (recalled, plan) }
        }
        let observation = try kernel.observe()
        return (observation, Plan(for: wish, given: observation, families: families))
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
        guard let now = try? kernel.observe() else { return false }
        if now.hasSameRuleset(as: before) {
            restoreEntry(of: before, in: &kernel)
            return false
        }
        let wish: Wish
        if let entry = before.entry, entry.isLive(at: now.now) {
            wish = .on(entry.hooks, deadline: entry.deadline)
        } else {
            wish = .off
        }
        let plan = Plan(for: wish, given: now, families: families)
        return (try? kernel.execute(plan.actions)) != nil && plan.actions.contains(where: \.isInRuleset)
    }
}
