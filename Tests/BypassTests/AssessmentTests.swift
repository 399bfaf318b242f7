import Bypass
import Testing

@Suite struct AssessmentTests {
    typealias Interception = Observation.Interception

    private func assess(_ interceptions: [Interception], change: (inout Observation) -> Void = { _ in }) -> Assessment {
        var observation = Observation.bypassedIstio()
        observation.interceptions = interceptions
        change(&observation)
        return Assessment(observation)
    }

    private static func nat(
        _ place: Place?, _ hook: Hook = .output, _ families: Set<Family> = [.ip], priority: Int32 = -100
    ) -> Interception {
        .init(means: .nat, hook: hook, families: families, priority: priority, place: place, name: "ip mesh chain")
    }

    @Test(
        "A whole bypass is on, and effective against a redirect at any later priority",
        arguments: [
            nat(ipOutput), nat(nil), nat(nil, priority: -100), nat(nil, .prerouting, [.ip, .ip6], priority: 0),
            nat(ipOutput, priority: -200),
        ])
    func on(_ interception: Interception) {
        let assessment = assess([interception])
        #expect(assessment.state == .on)
        #expect(assessment.effective)
        #expect(assessment.warnings == [])
    }

    @Test(
        "Without an entry, or after its deadline, it is off and nothing is said",
        arguments: [
            nil, Entry(deadline: Entry.passed, hooks: both), Entry(deadline: 10, hooks: both),
        ])
    func off(_ entry: Entry?) {
        let assessment = assess([Self.nat(ipOutput)]) { $0.entry = entry }
        #expect(assessment.state == .off)
        #expect(!assessment.effective)
        #expect(assessment.warnings == [])
    }

    @Test(
        "What comes before the guard still wins, and TPROXY is beaten by no nat",
        arguments: [
            (nat(nil, priority: -101), "earlier-redirect"), (nat(nil, priority: -300), "earlier-redirect"),
            (
                Interception(
                    means: .transparentProxy, hook: .prerouting, families: [.ip], priority: -150, place: nil,
                    name: "ip mangle PREROUTING"), "tproxy"
            ),
        ])
    func undefeated(_ interception: Interception, code: String) {
        let assessment = assess([Self.nat(ipOutput), interception])
        #expect(assessment.state == .on)
        #expect(!assessment.effective)
        #expect(assessment.warnings.map(\.code) == [code])
        #expect(assessment.warnings.first?.message.contains(interception.name) == true)
    }

    @Test("A direction that nobody asked for does not matter")
    func otherDirection() {
        let assessment = assess([Self.nat(nil, .output, priority: -300), Self.nat(ipPrerouting, .prerouting)]) {
            $0.entry?.hooks = [.prerouting]
        }
        #expect(assessment.effective)
        #expect(assessment.warnings == [])
    }

    @Test("Where nothing is intercepted there is nothing to bypass")
    func nothing() {
        let assessment = assess([])
        #expect(assessment.state == .on)
        #expect(assessment.effective)
        #expect(assessment.warnings == [.noInterception])
        #expect(assessment.warnings.map(\.code) == ["no-interception"])
    }

    @Test(
        "Damage is told by place, and what is left still counts",
        arguments: [
            Damage("rule-missing", effective: true) { $0.setChain(ipOutput, .init(hasForeignRules: true)) },
            Damage("rule-missing", effective: true) { $0.setChain(ipOutput, nil) },
            Damage("rule-not-first", effective: true) {
                $0.setChain(ipOutput, .init(own: [8], ownIsFirst: false, hasForeignRules: true))
            },
            Damage("guard-missing", effective: true) { $0.guardChains?[.output] = nil },
            Damage("guard-missing", effective: true) { $0.guardChains?[.output] = .intact([.ip6]) },
            Damage("guard-missing", effective: true) { $0.guardChains?[.output] = .damaged },
        ])
    func degraded(_ damage: Damage) {
        let assessment = assess([Self.nat(ipOutput)], change: damage.change)
        #expect(assessment.state == .degraded)
        #expect(assessment.effective == damage.effective)
        #expect(assessment.warnings.map(\.code) == [damage.code])
    }

    @Test("A chain that is not iptables' lacks nothing, and the guard beats what is elsewhere")
    func closedChain() {
        let assessment = assess([Self.nat(nil)]) { $0.setChain(ipOutput, .init(hasForeignRules: true, isClosed: true)) }
        #expect(assessment.state == .on)
        #expect(assessment.effective)
        #expect(assessment.warnings == [])
    }

    @Test("Without the guard a redirect outside iptables' chain wins again")
    func withoutGuard() {
        let assessment = assess([Self.nat(nil)]) { $0.guardChains = nil }
        #expect(assessment.state == .degraded)
        #expect(!assessment.effective)
        #expect(assessment.warnings.map(\.code) == ["guard-missing", "guard-missing", "redirect"])
    }

    @Test("A bypass of IPv4 alone, where the kernel has no nat for IPv6, is whole")
    func ipv4Only() {
        var observation = Observation.bypassedIstio()
        observation.tables[.ip6] = nil
        observation.guardChains = [.prerouting: .intact([.ip]), .output: .intact([.ip])]
        observation.interceptions = [Self.nat(ipOutput)]
        #expect(Assessment(observation).state == .on)
    }

    struct Damage: Sendable, CustomTestStringConvertible {
        var code: String
        var effective: Bool
        var change: @Sendable (inout Observation) -> Void

        init(_ code: String, effective: Bool, _ change: @escaping @Sendable (inout Observation) -> Void) {
            self.code = code
            self.effective = effective
            self.change = change
        }

        var testDescription: String { code }
    }
}
