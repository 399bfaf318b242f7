import BypassAPI
import Testing

@testable import Bypass

/// How one scope replaces another.
@Suite struct PlanScopeTests {
    private static let scopes: [Scope] = [
        .all, Scope(only: try? ConnectionSet(ports: [PortRange(80)])),
        Scope(except: try? ConnectionSet(networks: [IPNetwork("10.0.0.0/8")])),
    ]

    @Test("Another scope is one update of the map")
    func anotherScope() {
        for (old, new) in [(Self.scopes[0], Self.scopes[1]), (Self.scopes[1], Self.scopes[2])] {
            var observation = Observation.bypassedIstio()
            observation.entry?.scope = old
            let plan = Plan(for: .on(both, scope: new, deadline: 0), given: observation)
            #expect(plan.actions == [.setEntry(MapEntry(deadline: 0, hooks: both, scope: new))])
            #expect(Plan(for: .on(both, scope: old, deadline: 0), given: observation).actions == [])
        }
    }

    private static let hooks: [HookSet] = [both, [.prerouting], [.output]]

    /// Each hook that connections can take past the sidecar, with the scope that is in force.
    private static func open(_ namespace: ModelNamespace) -> [Hook: Scope] {
        let open = namespace.direct.map { ($0.hook, namespace.entry?.scope ?? .nothing) }
        return Dictionary(open, uniquingKeysWith: { one, _ in one })
    }

    @Test("A hook has its old scope or its new one, or lets nothing pass, at each step", arguments: hooks, hooks)
    func steps(_ old: HookSet, _ new: HookSet) throws {
        for before in Self.scopes {
            for after in Self.scopes {
                var namespace = ModelNamespace()
                _ = try namespace.execute(
                    Plan(for: .on(old, scope: before, deadline: 0), given: namespace.observation).actions)
                let plan = Plan(for: .on(new, scope: after, deadline: 0), given: namespace.observation)
                for step in try namespace.execute(plan.actions) {
                    for (hook, scope) in Self.open(step) {
                        let allowed = [old.contains(hook) ? before : .nothing, new.contains(hook) ? after : .nothing]
                        #expect((allowed + [.nothing]).contains(scope), "\(hook) of \(old) to \(new): \(scope)")
                        // What stays is never interrupted.
                        if old.contains(hook) && new.contains(hook) { #expect(scope != .nothing) }
                    }
                }
                #expect(Self.open(namespace) == Dictionary(uniqueKeysWithValues: new.map { ($0, after) }))
            }
        }
    }

    @Test("A change that failed leaves the old scope, and one that was interrupted is carried through")
    func interrupted() {
        let scope = Self.scopes[1]
        var observation = Observation.bypassedIstio()
        let decision = ReconcileDecision(hooks: both, scope: scope, deadline: 0, given: observation)
        #expect(decision == .renew(.on(both, scope: scope, deadline: 0)))
        observation.entry?.scope = scope
        #expect(ReconcileDecision(hooks: both, scope: scope, deadline: 0, given: observation) == .nothing)
        // Without a record the map says what is wanted.
        #expect(ReconcileDecision(hooks: nil, deadline: nil, given: observation) == .nothing)
        observation.entry?.isCurrent = false
        #expect(
            ReconcileDecision(hooks: nil, deadline: nil, given: observation)
                == .renew(.on(both, scope: scope, deadline: 0)))
    }
}
