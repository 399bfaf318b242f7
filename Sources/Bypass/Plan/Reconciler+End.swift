/// The remains of an ended bypass in its namespace. It has no effect: the matcher does not match.
package enum Leftover: Hashable, Sendable {
    /// Tables and chains, as `nft` names them, that could not be removed; and the reason.
    case standing([String], String)
    /// The ruleset cannot be read, so there may be leftovers; and the reason.
    case unknown(String)

    /// For people.
    package var message: String {
        switch self {
        case .standing(let places, let reason):
            "parts of it are left, without effect, in \(places.joined(separator: ", ")): \(reason)"
        case .unknown(let reason):
            "parts of it may be left, without effect, since the namespace's rules cannot be read: \(reason)"
        }
    }
}

extension Reconciler {
    /// The result of ending a bypass.
    package struct Ending: Hashable, Sendable {
        package var after: Observation
        /// Whether there was anything to do.
        package var changed: Bool
        package var leftovers: [Leftover]
        /// The namespace's entry in the matcher's map: it lists the objects that were created there.
        package var entry: MapEntry?
    }

    /// Ends a bypass. The matcher stops matching first, so connections go to the sidecar again whatever the namespace
    /// holds. Then the created objects are removed, as far as the kernel allows.
    ///
    /// - Parameter earlier: the entry of a bypass that has ended and left something behind.
    /// - Throws: only if the matcher cannot be stopped. The bypass is then on as before.
    package static func end<Kernel: NamespaceKernel & ~Copyable>(
        _ earlier: MapEntry? = nil, in kernel: inout Kernel
    ) throws(BypassError) -> Ending {
        var entry = try kernel.entry()
        if entry == nil, let earlier {
            entry = earlier
            // Plans need to know what was created. Without that, our rules are still recognized.
            try? kernel.execute([.setEntry(earlier.ended)])
        }
        do throws(BypassError) {
            let outcome = try reconcile(.off, in: &kernel)
            return Ending(after: outcome.after, changed: outcome.changed, leftovers: [], entry: entry)
        } catch {
            try stopMatching(entry, in: &kernel, because: error)
            var ending = removeByParts(in: &kernel)
            ending.changed = ending.changed || entry != nil
            ending.entry = entry
            return ending
        }
    }

    /// Once an entry has expired in the map, what was created is still known from it.
    private static func stopMatching<Kernel: NamespaceKernel & ~Copyable>(
        _ entry: MapEntry?, in kernel: inout Kernel, because reason: BypassError
    ) throws(BypassError) {
        guard let entry else { return }
        if (try? kernel.execute([.setEntry(entry.ended)])) != nil { return }
        // Removing an entry allocates no memory.
        do throws(KernelFailure) {
            try kernel.execute([.removeEntry])
        } catch {
            if case .refused(let error) = error { throw error }
            throw reason
        }
    }

    /// Removes leftovers table by table: a failure in one table does not stop the rest.
    private static func removeByParts<Kernel: NamespaceKernel & ~Copyable>(in kernel: inout Kernel) -> Ending {
        var (leftovers, isChanged) = ([Leftover](), false)
        var after: Observation?
        do throws(BypassError) {
            for part in Action.Part.allCases {
                let removal = try remove(part, in: &kernel)
                if let leftover = removal.leftover { leftovers.append(leftover) }
                isChanged = isChanged || removal.isChange
            }
            try? kernel.execute([.removeEntry])
            after = try observe(&kernel)
        } catch {
            leftovers.append(.unknown(error.message))
            try? kernel.execute([.removeEntry])
        }
        // Without an entry it does not matter when that was.
        return Ending(after: after ?? Observation(now: 0), changed: isChanged, leftovers: leftovers)
    }

    /// - Throws: if the namespace cannot be observed.
    private static func remove<Kernel: NamespaceKernel & ~Copyable>(
        _ part: Action.Part, in kernel: inout Kernel
    ) throws(BypassError) -> (leftover: Leftover?, isChange: Bool) {
        var places: [String] = []
        for attempt in 0..<attempts {
            guard kernel.begin(attempt: attempt) else { break }
            do throws(KernelFailure) {
                let observation = try kernel.observe()
                let actions = Plan(for: .off, given: observation).actions.filter { $0.part == part }
                if actions.isEmpty { return (nil, false) }
                places = actions.compactMap(\.place).reduce(into: []) { if $0.last != $1 { $0.append($1) } }
                try kernel.execute(actions)
                return (nil, true)
            } catch {
                switch error {
                case .rulesetChanged: continue
                // What the kernel cannot do in this family was never created.
                case .familyUnsupported: return (nil, false)
                case .refused(let reason) where places.isEmpty: throw reason
                case .refused(let reason): return (.standing(places, reason.message), false)
                }
            }
        }
        let reason = rulesetKeepsChanging("nf_tables batch")
        if places.isEmpty { throw reason }
        return (.standing(places, reason.message), false)
    }
}

extension MapEntry {
    /// The same after its end: the matcher does not match, and what was created is still known.
    fileprivate var ended: MapEntry {
        var copy = self
        copy.deadline = Self.expired
        return copy
    }
}
