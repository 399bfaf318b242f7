import BypassAPI
import Kubernetes
import PodBypass
import Testing

@testable import BypassController

/// What is done for a pod, given its desired and its observed state.
@Suite struct ReconcileActionTests {
    private static let plain = Eligibility.eligible(BypassSpec())
    private static let short = Eligibility.eligible(BypassSpec(ttl: 900))

    private func action(
        _ eligibility: Eligibility?, _ bypass: BypassStatus? = nil, applied: BypassSpec? = nil, end: Int64? = nil,
        wasOn: Bool = false, hasStatus: Bool = true
    ) -> ReconcileAction {
        PodSnapshot(
            eligibility: eligibility, bypass: bypass, appliedSpec: applied, expiry: end.map(at), hasStatus: hasStatus,
            wasOn: wasOn
        ).action(at: at(1000))
    }

    @Test("A missing bypass is turned on, an unwanted one is turned off, and one that is up to date is reported")
    func differences() {
        #expect(action(Self.plain) == .turnOn(BypassSpec(), ttl: nil))
        #expect(action(Self.short) == .turnOn(BypassSpec(ttl: 900), ttl: 900))
        #expect(action(nil, bypass()) == .turnOff)
        #expect(action(Self.plain, bypass()) == .upToDate(.on(until: nil)))
        #expect(action(Self.short, bypass(until: 1900)) == .upToDate(.on(until: at(1900))))
        #expect(action(.ineligible("x")) == .upToDate(.refused("x")))
        #expect(action(.notYet("x")) == .upToDate(.waiting("x")))
        #expect(action(nil) == .upToDate(.off(wasOn: false)))
        #expect(action(nil, wasOn: true) == .upToDate(.off(wasOn: true)))
    }

    @Test("Only the label, the TTL and the pod's end take a bypass away")
    func kept() {
        #expect(action(.notYet("x"), bypass()) == .upToDate(.on(until: nil)))
        #expect(action(.ineligible("x"), bypass(until: 60)) == .upToDate(.unchanged(until: at(60), "x")))
        #expect(action(.ended, bypass()) == .turnOff)
        #expect(
            BypassCondition.unchanged(until: at(60), "x").annotation == "on until 1970-01-01T00:01:00Z, unchanged: x")
        #expect(BypassCondition.expiry(in: BypassCondition.unchanged(until: at(60), "x").annotation) == at(60))
    }

    @Test("A pod that has ended gets no warning", arguments: [false, true])
    func ended(_ wasOn: Bool) {
        let action = action(.ended, wasOn: wasOn)
        #expect(action == .upToDate(.off(wasOn: false)))
        #expect(BypassCondition.off(wasOn: false).event(of: BypassSpec()) == nil)
    }

    @Test("A terminating pod keeps its bypass, and starts none")
    func leaving() {
        #expect(action(.terminating) == .upToDate(nil))
        #expect(action(.terminating, bypass()) == .upToDate(nil))
    }

    @Test("A changed spec changes the bypass")
    func changes() {
        let inbound = BypassSpec(direction: .inbound)
        #expect(action(.eligible(inbound), bypass()) == .turnOn(inbound, ttl: nil))
        #expect(action(.eligible(BypassSpec(reason: "r")), bypass()) == .turnOn(BypassSpec(reason: "r"), ttl: nil))
        #expect(action(Self.plain, bypass(reason: "r")) == .turnOn(BypassSpec(), ttl: nil))
        #expect(action(Self.short, bypass()) == .turnOn(BypassSpec(ttl: 900), ttl: 900))
    }

    @Test("A changed scope changes the bypass, and a reset that is asked for later is done")
    func scope() throws {
        let only = try ConnectionSet(ports: [PortRange(8080)])
        let scoped = BypassSpec(only: only)
        #expect(action(.eligible(scoped), bypass()) == .turnOn(scoped, ttl: nil))
        #expect(action(.eligible(scoped), bypass(only: only)) == .upToDate(.on(until: nil)))
        #expect(action(Self.plain, bypass(only: only)) == .turnOn(BypassSpec(), ttl: nil))
        let resetting = BypassSpec(connections: .reset)
        let eligibility = Eligibility.eligible(resetting)
        #expect(action(eligibility, bypass(), applied: BypassSpec()) == .turnOn(resetting, ttl: nil))
        #expect(action(eligibility, bypass(), applied: resetting) == .upToDate(.on(until: nil)))
        // After a restart it is not known, and connections that were opened since are not ended again.
        #expect(action(eligibility, bypass()) == .upToDate(.on(until: nil)))
        #expect(action(Self.plain, bypass(), applied: resetting) == .upToDate(.on(until: nil)))
    }

    @Test("The Event says which connections, and what became of open ones")
    func scopeEvent() throws {
        let only = try ConnectionSet(ports: [PortRange(8080)], networks: [IPNetwork("10.0.0.0/8")])
        let spec = BypassSpec(direction: .inbound, only: only, connections: .reset)
        #expect(
            BypassCondition.on(until: at(0)).event(of: spec)?.message
                == "New inbound connections (only port 8080 in network 10.0.0.0/8) bypass the sidecar until "
                + "1970-01-01T00:00:00Z. Existing connections that went through it were ended.")
    }

    @Test("How much of what was asked for takes effect is said where it says something")
    func partialEffect() {
        let partial = BypassCondition(of: bypass(effective: false, effect: .partial, warnings: ["tproxy"]))
        #expect(partial.annotation == "on, not effective for some connections: tproxy")
        let none = BypassCondition(of: bypass(effective: false, effect: .ineffective, warnings: ["tproxy"]))
        #expect(none.annotation == "on, not effective: tproxy")
        #expect(BypassCondition(of: bypass(effect: .all)).annotation == "on")
        #expect(BypassCondition(of: bypass(effect: .nothingToBypass)).annotation == "on, nothing to bypass")
    }

    @Test("A changed TTL counts from the change; a later expiry that was set by other means is kept")
    func times() {
        let other = BypassSpec(ttl: 60)
        #expect(action(Self.short, bypass(until: 1050), applied: other) == .turnOn(BypassSpec(ttl: 900), ttl: 900))
        #expect(action(Self.plain, bypass(until: 1050), applied: other) == .turnOn(BypassSpec(), ttl: nil))
        #expect(
            action(Self.short, bypass(until: 9999), applied: BypassSpec(ttl: 900)) == .upToDate(.on(until: at(9999))))
        #expect(action(Self.short, bypass(until: 9999)) == .upToDate(.on(until: at(9999))))
        // The node's policy may limit every bypass.
        #expect(action(Self.plain, bypass(until: 9999)) == .upToDate(.on(until: at(9999))))
    }

    @Test("A change of another option keeps the expiry, whether the pod or the node's policy has set it")
    func otherOption() throws {
        let applied = BypassSpec(ttl: 900)
        let changed = BypassSpec(ttl: 900, reason: "r")
        let eligibility = Eligibility.eligible(changed)
        #expect(action(eligibility, bypass(until: 1300), applied: applied) == .turnOn(changed, ttl: 300))
        #expect(action(eligibility, bypass(until: 1300)) == .turnOn(changed, ttl: 300))
        #expect(action(eligibility, bypass(until: 1300), applied: BypassSpec(ttl: 60)) == .turnOn(changed, ttl: 900))
        #expect(action(eligibility, bypass()) == .turnOn(changed, ttl: 900))
        // The daemon has not ended it yet.
        #expect(action(eligibility, bypass(until: 990), applied: applied) == .turnOn(changed, ttl: 1))
        let inbound = BypassSpec(direction: .inbound)
        #expect(action(.eligible(inbound), bypass(until: 1300)) == .turnOn(inbound, ttl: 300))
        #expect(
            action(.eligible(inbound), bypass(until: 1300), applied: BypassSpec()) == .turnOn(inbound, ttl: 300))
        #expect(action(.eligible(inbound), bypass(until: 1300), applied: applied) == .turnOn(inbound, ttl: nil))
    }

    @Test("A shorter TTL that was set while no controller ran takes effect; a bypass never gets longer by a restart")
    func unansweredRequest() {
        #expect(action(Self.short, bypass(until: 9999), hasStatus: false) == .turnOn(BypassSpec(ttl: 900), ttl: 900))
        // Its own request, whose status could not be written.
        for end: Int64 in [1300, 1900, 1903] {
            #expect(action(Self.short, bypass(until: end), hasStatus: false) == .upToDate(.on(until: at(end))))
        }
        #expect(action(Self.plain, bypass(until: 9999), hasStatus: false) == .upToDate(.on(until: at(9999))))
        #expect(
            action(Self.short, bypass(until: 9999), applied: BypassSpec(ttl: 900), hasStatus: false)
                == .upToDate(.on(until: at(9999))))
    }

    @Test("An expired bypass is not started again, even if the controller was away when it expired")
    func ends() {
        #expect(action(Self.short, end: 900) == .upToDate(.expired(at(900))))
        #expect(action(Self.short, applied: BypassSpec(ttl: 900), end: 1000) == .upToDate(.expired(at(1000))))
        #expect(action(Self.plain, end: 900) == .upToDate(.expired(at(900))))
    }

    @Test("A bypass that was lost before its expiry is turned on for the remaining time")
    func lost() {
        #expect(action(Self.short, end: 1100) == .turnOn(BypassSpec(ttl: 900), ttl: 100))
        // The policy's `default-ttl` has set the expiry.
        #expect(action(Self.plain, end: 1100) == .turnOn(BypassSpec(), ttl: 100))
        #expect(action(Self.plain, applied: BypassSpec(), end: 1100) == .turnOn(BypassSpec(), ttl: 100))
        // A changed TTL applies in full.
        #expect(action(Self.short, applied: BypassSpec(ttl: 60), end: 900) == .turnOn(BypassSpec(ttl: 900), ttl: 900))
    }

    @Test("The expiry of a bypass that was lost stays on the pod until the bypass is on again")
    func lostExpiry() {
        let waiting = action(.notYet("x"), end: 1100)
        #expect(waiting == .upToDate(.waiting("x", until: at(1100))))
        #expect(action(.ineligible("x"), end: 1100) == .upToDate(.refused("x", until: at(1100))))
        for condition: BypassCondition in [
            .waiting("x; until later", until: at(60)), .refused("x", until: at(60)), .failed("x", until: at(60)),
        ] {
            #expect(condition.annotation?.hasSuffix("; until 1970-01-01T00:01:00Z") == true)
            #expect(BypassCondition.expiry(in: condition.annotation) == at(60))
        }
        let others = ["waiting: x", "failed: x; until noon", "expired \(at(60))", "x; until \(at(60))"]
        for text in others {
            #expect(BypassCondition.expiry(in: text) == nil)
        }
    }

    @Test("Traffic that still goes to the sidecar is reported; existing connections are not")
    func effect() {
        #expect(BypassCondition(of: bypass(warnings: ["established-connections"])) == .on(until: nil))
        let redirect = BypassCondition(of: bypass(effective: false, warnings: ["established-connections", "redirect"]))
        #expect(redirect.annotation == "on, not effective: redirect")
        let damaged = BypassCondition(
            of: bypass(until: 60, state: .degraded, effective: false, warnings: ["rule-missing"]))
        #expect(damaged.annotation == "on until 1970-01-01T00:01:00Z, not effective: rule-missing")
    }

    @Test("What is effective is not called otherwise, whatever its warnings")
    func effective() {
        #expect(BypassCondition(of: bypass(state: .degraded, warnings: ["rule-missing"])) == .on(until: nil))
        #expect(BypassCondition(of: bypass(warnings: ["not-recorded", "other-nat"])) == .on(until: nil))
        let contested = BypassCondition(of: bypass(state: .degraded, warnings: ["contested", "rule-missing"]))
        #expect(contested.annotation == "on, contested")
        #expect(contested.event(of: BypassSpec())?.message == "The bypass is on, but about contested")
        let gateway = BypassCondition(of: bypass(until: 60, warnings: ["no-interception"]))
        #expect(gateway.annotation == "on until 1970-01-01T00:01:00Z, nothing to bypass")
        #expect(gateway.event(of: BypassSpec(direction: .inbound))?.isWarning == false)
        #expect(
            gateway.event(of: BypassSpec(direction: .inbound))?.message.contains("inbound connections to a sidecar")
                == true)
    }

    @Test("A pod in which rules of another program bypass the sidecar is not said to be in the mesh")
    func foreignBypass() {
        let status = bypass(warnings: ["udp-flows", "foreign-bypass"])
        let sentences = BypassCondition.sentences(ofForeignBypassesIn: status)
        #expect(sentences == "about foreign-bypass")
        let action = PodSnapshot(wasOn: true, foreignBypass: sentences).action(at: at(1000))
        #expect(action == .upToDate(.offNotEffective(sentences: "about foreign-bypass")))
        let condition = BypassCondition.offNotEffective(sentences: "about foreign-bypass")
        #expect(condition.annotation == "off, not effective: foreign-bypass")
        #expect(condition.event(of: BypassSpec())?.message == "The bypass is off, but about foreign-bypass")
        #expect(BypassCondition.sentences(ofForeignBypassesIn: bypass(warnings: ["udp-flows"])) == nil)
    }

    @Test("The annotation records when a bypass expires")
    func memory() {
        for bypass in [bypass(until: 60), bypass(until: 60, effective: false, warnings: ["redirect"])] {
            #expect(BypassCondition.expiry(in: BypassCondition(of: bypass).annotation) == at(60))
        }
        let others: [BypassCondition] = [.on(until: nil), .waiting("x"), .refused("x"), .failed("x"), .expired(at(60))]
        for state in others { #expect(BypassCondition.expiry(in: state.annotation) == nil) }
        #expect(BypassCondition.expiry(in: nil) == nil && BypassCondition.expiry(in: "on until tomorrow") == nil)
    }

    @Test("Each condition has an Event of its own")
    func events() {
        func event(_ state: BypassCondition) -> (String, Bool)? {
            state.event(of: BypassSpec()).map { ($0.reason, $0.isWarning) }
        }
        #expect(event(.on(until: nil)) ?? ("", true) == ("BypassEnabled", false))
        #expect(event(.off(wasOn: true)) ?? ("", true) == ("BypassDisabled", false))
        #expect(event(.off(wasOn: false)) == nil)
        #expect(event(.offNotEffective(sentences: "x")) ?? ("", false) == ("BypassNotEffective", true))
        #expect(event(.expired(at(0))) ?? ("", true) == ("BypassExpired", false))
        #expect(event(.refused("x")) ?? ("", false) == ("BypassFailed", true))
        #expect(event(.failed("x")) ?? ("", false) == ("BypassFailed", true))
        let odd = BypassCondition(of: bypass(effective: false, warnings: ["redirect"]))
        #expect(event(odd) ?? ("", false) == ("BypassNotEffective", true))
        #expect(odd.event(of: BypassSpec())?.message.contains("about redirect") == true)
        #expect(event(.waiting("x")) == nil)
    }
}
