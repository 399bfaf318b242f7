import BypassAPI
import Testing

@testable import Bypass

/// What the end of a bypass comes to, whatever the kernel refuses.
@Suite struct EndTests {
    private static func bypassed(_ world: InitialState, _ desired: DesiredState) throws -> FakeKernel {
        var kernel = FakeKernel(world.namespace)
        _ = try Reconciler.reconcile(desired, in: &kernel)
        return kernel
    }

    private static let samples = DesiredState.samples.filter { $0 != .off }

    @Test("Where nothing is refused an end leaves nothing", arguments: InitialState.allCases, samples)
    func whole(_ world: InitialState, _ desired: DesiredState) throws {
        var kernel = try Self.bypassed(world, desired)
        let ending = try Reconciler.end(in: &kernel)
        #expect(ending.changed && ending.leftovers == [])
        var expected = FakeKernel(world.namespace)
        _ = try Reconciler.reconcile(.off, in: &expected)
        #expect(kernel.namespace.canonical == expected.namespace.canonical)
        #expect(try Reconciler.end(in: &kernel).changed == false)
    }

    @Test(
        "What is refused in one table is left there alone, and goes later", arguments: InitialState.allCases,
        Action.Part.allCases)
    func refusedPart(_ world: InitialState, _ part: Action.Part) throws {
        var kernel = try Self.bypassed(world, .on(both, deadline: 0))
        kernel.refusedPart = part
        let ending = try Reconciler.end(in: &kernel)
        #expect(kernel.namespace.entry == nil && kernel.namespace.direct.isEmpty)
        #expect(ending.changed)
        for leftover in ending.leftovers {
            guard case .standing(let places, _) = leftover else {
                Issue.record("\(leftover)")
                continue
            }
            #expect(!places.isEmpty)
        }
        let rest = Plan(for: .off, given: kernel.namespace.observation).actions.compactMap(\.part)
        #expect(rest.allSatisfy { $0 == part }, "\(rest)")
        if !rest.isEmpty { #expect(ending.leftovers.count == 1) }

        kernel.refusedPart = nil
        let later = try Reconciler.end(ending.entry, in: &kernel)
        #expect(later.leftovers == [])
        var expected = FakeKernel(world.namespace)
        _ = try Reconciler.reconcile(.off, in: &expected)
        #expect(kernel.namespace.canonical == expected.namespace.canonical)
    }

    @Test("A namespace that cannot be read is off, with unknown leftovers")
    func blind() throws {
        var kernel = try Self.bypassed(.istio, .on(both, deadline: 0))
        kernel.isBlind = true
        let ending = try Reconciler.end(in: &kernel)
        #expect(ending.changed && ending.leftovers == [.unknown(FakeKernel.refusal.message)])
        #expect(kernel.namespace.entry == nil)
    }

    @Test("A ruleset that never holds still does not keep a bypass on, not for a moment")
    func neverStill() throws {
        var kernel = try Self.bypassed(.istio, .on(both, deadline: 0))
        let before = kernel.deadlines.count
        kernel.refusals = Array(repeating: .rulesetChanged, count: 1000)
        #expect(try Reconciler.end(in: &kernel).leftovers.count == Action.Part.allCases.count)
        #expect(kernel.namespace.entry == nil)
        #expect(kernel.deadlines.dropFirst(before).allSatisfy { $0 == MapEntry.expired })
    }

    @Test("Only a map that refuses everything keeps a bypass on, and that is an error")
    func refusedMap() throws {
        var kernel = try Self.bypassed(.istio, .on(both, deadline: 0))
        let before = kernel.namespace
        kernel.isMapRefusing = true
        #expect(throws: FakeKernel.refusal) { try Reconciler.end(in: &kernel) }
        #expect(kernel.namespace == before)
    }
}
