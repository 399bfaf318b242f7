import BypassAPI
import Testing

@testable import Bypass

/// How much the mask has to hide.
@Suite struct MaskTests {
    private static let masks: [(Mask, takes: Mask, isEnough: Bool)] = [
        (Mask([.ip], hidesDatagrams: false), Mask([.ip], hidesDatagrams: false), true),
        (Mask([.ip], hidesDatagrams: false), Mask([.ip]), false),
        (Mask([.ip]), Mask([.ip], hidesDatagrams: false), true), (Mask([.ip]), Mask([.ip]), true),
        (Mask([.ip]), Mask([.ip, .ip6]), false), (Mask([.ip]), Mask([.ip6], hidesDatagrams: false), false),
        (Mask([.ip6], hidesDatagrams: false), Mask([.ip6], hidesDatagrams: false), true),
        (Mask([.ip, .ip6]), Mask([.ip6]), true),
    ]

    @Test("A mask is enough where it hides all that TPROXY takes, and what hides more is not changed", arguments: masks)
    func extent(_ mask: Mask, takes: Mask, isEnough: Bool) {
        var observation = Observation.bypassedIstio()
        observation.maskChains = [.mask: .intact(mask), .unmask: .intact(Mask(mask.families))]
        observation.entry?.created.insert(.mask)
        var redirect = Observation.Redirect.tproxy(takes.families)
        redirect.takesDatagrams = takes.hidesDatagrams
        observation.redirects = [redirect]
        let health = Health(observation)
        #expect((health.state == .on) == isEnough && health.effective == isEnough)
        #expect(health.warnings.contains(.maskMissing) == !isEnough)
        let actions = Plan(for: .on(both, deadline: 0), given: observation).actions
        #expect(actions.contains(where: \.createsMask) == !isEnough)
        #expect(isEnough || actions.contains(.createMask(mask.union(takes))))
        // What TPROXY has taken once it may take again.
        observation.redirects = []
        #expect(Plan(for: .on(both, deadline: 0), given: observation).actions == [])
    }
}
