import Testing

@testable import Bypass

/// Holds every plan to its promises, in every state that a model of the kernel can come to.
@Suite struct PlanPropertyTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var world: InitialState
        var families: [Family]
        var disturbances = Disturbance.usual

        var testDescription: String { "\(world), \(families), \(disturbances.count) disturbances" }

        static let all =
            [InitialState.nothing, .halfTable, .istio].map { Case(world: $0, families: Family.allCases) }
            + [.istioForIPv4, .strangers].map { Case(world: $0, families: [.ip]) }
            + [Case(world: .nothing, families: [.ip], disturbances: Disturbance.allCases)]
    }

    @Test(
        "From any state a desired state is reached at once, and a crash on the way leaves the old or the new",
        arguments: Case.all)
    func everyWishFromEverywhere(_ given: Case) throws {
        for state in try given.world.reachable(families: given.families, given.disturbances) {
            for desired in DesiredState.samples {
                let plan = Plan(for: desired, given: state.observation, families: given.families)
                var after = state
                let history = try after.execute(plan.actions)
                if let complaint = after.complaint(desired, given.families, since: state) {
                    Issue.record("\(complaint): \(desired) in \(state) gave \(plan.actions)")
                    return
                }
                let again = Plan(for: desired, given: after.observation, families: given.families)
                // Without #expect, which costs more than what it would check here.
                if again.actions != [] { Issue.record("\(again.actions) follow \(plan.actions), in \(after)") }
                if try !isForeseen(plan, state) { Issue.record("not as foreseen: \(plan.actions) in \(state)") }
                for moment in history where moment.direct != state.direct && moment.direct != after.direct {
                    Issue.record("half a bypass on the way to \(desired) in \(state): \(moment)")
                    return
                }
                for moment in history
                where moment.forwarded != state.forwarded && moment.forwarded != after.forwarded {
                    Issue.record(
                        "half a bypass of forwarded connections on the way to \(desired) in \(state): \(moment)")
                    return
                }
                for moment in history where moment.maskChains.count == 1 && state.maskChains.count != 1 {
                    Issue.record("half a mask on the way to \(desired) in \(state): \(moment)")
                    return
                }
                for moment in history where moment.isLost && !state.isLost {
                    Issue.record("nobody would find what is left on the way to \(desired) in \(state): \(moment)")
                    return
                }
            }
        }
    }

    /// Whether what is known without looking again, if anything is, is what a look would show.
    private func isForeseen(_ plan: Plan, _ state: ModelNamespace) throws -> Bool {
        var known = state.observation
        var state = state
        for action in plan.actions {
            try state.apply(action)
            guard known.apply(action, handle: state.lastHandle) else { return true }
        }
        return known == state.observation
    }

    @Test("Off leads from wherever wishes and crashes led back to the beginning", arguments: InitialState.allCases)
    func offUndoesEverything(_ world: InitialState) throws {
        var undisturbed: Set<ModelNamespace> = [world.namespace]
        var waiting = [world.namespace]
        while let state = waiting.popLast() {
            for desired in DesiredState.samples {
                var copy = state
                let next = try copy.execute(Plan(for: desired, given: state.observation).actions)
                for state in next.map(\.canonical) where undisturbed.insert(state).inserted { waiting.append(state) }
            }
        }
        #expect(undisturbed.count > 20)
        for var state in undisturbed {
            _ = try state.execute(Plan(for: .off, given: state.observation).actions)
            #expect(state.canonical == world.namespace)
        }
    }

    @Test("Connections of a direction that stays bypassed never meet the sidecar", arguments: InitialState.allCases)
    func changesOfDirectionHaveNoGap(_ world: InitialState) throws {
        let desiredStates = DesiredState.samples.filter { $0 != .off }
        for first in desiredStates {
            var on = world.namespace
            _ = try on.execute(Plan(for: first, given: on.observation).actions)
            for second in desiredStates {
                var changed = on
                let history = try changed.execute(Plan(for: second, given: on.observation).actions)
                let stays = on.direct.intersection(changed.direct)
                let isForwarded = on.forwarded.intersection(changed.forwarded)
                for moment in history {
                    #expect(moment.direct.isSuperset(of: stays), "\(first) to \(second)")
                    #expect(moment.forwarded.isSuperset(of: isForwarded), "\(first) to \(second)")
                }
            }
        }
    }
}

extension ModelNamespace {
    /// Whether something of ours stands here, and no entry says so.
    fileprivate var isLost: Bool {
        let hasRules = tables.values.contains { $0.chains.values.contains { $0.contains(where: \.isOurs) } }
        return entry == nil && (hasRules || guardChains?.isEmpty == false || !maskChains.isEmpty)
    }

    /// What is not as desired; nil if everything is.
    fileprivate func complaint(_ desired: DesiredState, _ families: [Family], since before: ModelNamespace) -> String? {
        guard case .on(let hooks, let scope, let deadline) = desired else {
            return canonical == before.withoutBypass ? nil : "not what is left without a bypass"
        }
        if entry?.hooks != hooks || entry?.scope != scope || entry?.deadline != deadline {
            return "the entry is not as desired"
        }
        let wanted = Set(NATChain.all.filter { families.contains($0.family) && hooks.contains($0.hook) })
        if direct != wanted { return "other connections are direct" }
        if forwarded != (hooks.contains(.output) ? FamilySet(families) : []) {
            return "other connections are forwarded"
        }
        for natChain in NATChain.all where families.contains(natChain.family) {
            let rules = tables[natChain.family]?.chains[natChain.hook] ?? []
            let isOpen = tables[natChain.family]?.closed.contains(natChain.hook) != true
            let hasRule = wanted.contains(natChain) && isOpen
            if rules.count(where: \.isOurs) != (hasRule ? 1 : 0) { return "rules too many or too few" }
            if hasRule && rules.first?.isOurs != true { return "our rule is not first" }
        }
        if HookSet(guardChains?.map(\.key) ?? []) != HookSet(Hook.all.filter { hooks.traffic(at: $0) != nil }) {
            return "other chains in the guard"
        }
        let takesMask = hooks.contains(.prerouting) && (tproxy != nil || entry?.created.contains(.mask) == true)
        if isMasked != takesMask || maskChains.count != (takesMask ? 2 : 0) { return "the mask is not as desired" }
        if hooks.contains(.prerouting) && isExposed(FamilySet(families)) { return "TPROXY takes connections" }
        // A stale mark would take away, at the next off, what another program makes meanwhile.
        let stale = entry?.created.filter { created in
            switch created {
            case .table(let family): tables[family] == nil
            case .chain(let natChain): tables[natChain.family]?.chains[natChain.hook] == nil
            case .mask: maskChains.isEmpty
            }
        }
        return stale?.isEmpty == false ? "the entry says that something was made that is not there" : nil
    }
}
