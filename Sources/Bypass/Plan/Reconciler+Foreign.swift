extension Reconciler {
    /// The result of removing another program's rules.
    package struct ForeignRemoval: Hashable, Sendable {
        package var after: Observation
        package var removed: [ForeignBypass]
    }

    /// Removes the rules of nf_tables that end a nat chain in front of a redirect, by their handles. Each batch is for the
    /// ruleset that was observed: a rule that has changed or moved meanwhile is judged again.
    package static func removeForeignBypasses<Kernel: NamespaceKernel & ~Copyable>(
        in kernel: inout Kernel
    ) throws(BypassError) -> ForeignRemoval {
        var removed: [ForeignBypass] = []
        for attempt in 0..<attempts {
            guard kernel.begin(attempt: attempt) else { break }
            do throws(KernelFailure) {
                let observation = try kernel.observe()
                let found = observation.foreignBypasses.filter { $0.handle != nil }
                if found.isEmpty { return ForeignRemoval(after: observation, removed: removed) }
                try kernel.execute(found.map { .deleteRule($0.natChain, handle: $0.handle ?? 0) })
                removed += found
            } catch {
                if case .refused(let reason) = error { throw reason }
            }
        }
        throw rulesetKeepsChanging("nf_tables batch")
    }
}
