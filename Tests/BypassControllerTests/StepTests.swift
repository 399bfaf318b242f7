import BypassAPI
import Kubernetes
import Testing

@testable import BypassController

/// What is done for a pod, given what is wanted and what is.
@Suite struct StepTests {
    private static let plain = Verdict.bypass(Options())
    private static let short = Verdict.bypass(Options(ttl: 900))

    private func step(
        _ verdict: Verdict?, _ bypass: BypassStatus? = nil, applied: Options? = nil, end: Int64? = nil,
        wasOn: Bool = false, now: Int64 = 1000
    ) -> Step {
        PodView(verdict: verdict, bypass: bypass, applied: applied, end: end.map(at), wasOn: wasOn).step(at: at(now))
    }

    @Test("What is not there is begun, what is too much is ended, and what is as it should be is told")
    func differences() {
        #expect(step(Self.plain) == .turnOn(Options(), ttl: nil))
        #expect(step(Self.short) == .turnOn(Options(ttl: 900), ttl: 900))
        #expect(step(nil, bypass()) == .turnOff)
        #expect(step(.refuse("x"), bypass()) == .turnOff)
        #expect(step(.wait("x"), bypass()) == .turnOff)
        #expect(step(Self.plain, bypass()) == .rest(.on(until: nil)))
        #expect(step(Self.short, bypass(until: 1900)) == .rest(.on(until: at(1900))))
        #expect(step(.refuse("x")) == .rest(.refused("x")))
        #expect(step(.wait("x")) == .rest(.waiting("x")))
        #expect(step(nil) == .rest(.off(wasOn: false)))
        #expect(step(nil, wasOn: true) == .rest(.off(wasOn: true)))
    }

    @Test("A pod that is going keeps what it has, and begins nothing")
    func leaving() {
        #expect(step(.leave) == .rest(nil))
        #expect(step(.leave, bypass()) == .rest(nil))
    }

    @Test("What is asked for in another way is changed")
    func changes() {
        let inbound = Options(direction: .inbound)
        #expect(step(.bypass(inbound), bypass()) == .turnOn(inbound, ttl: nil))
        #expect(step(.bypass(Options(reason: "r")), bypass()) == .turnOn(Options(reason: "r"), ttl: nil))
        #expect(step(Self.plain, bypass(reason: "r")) == .turnOn(Options(), ttl: nil))
        #expect(step(Self.short, bypass()) == .turnOn(Options(ttl: 900), ttl: 900))
    }

    @Test("A change of the time counts from the change; whoever has more time by other means keeps it")
    func times() {
        let other = Options(ttl: 60)
        #expect(step(Self.short, bypass(until: 1050), applied: other) == .turnOn(Options(ttl: 900), ttl: 900))
        #expect(step(Self.plain, bypass(until: 1050), applied: other) == .turnOn(Options(), ttl: nil))
        #expect(step(Self.short, bypass(until: 9999), applied: Options(ttl: 900)) == .rest(.on(until: at(9999))))
        #expect(step(Self.short, bypass(until: 9999)) == .rest(.on(until: at(9999))))
        // The node's policy may give every bypass an end.
        #expect(step(Self.plain, bypass(until: 9999)) == .rest(.on(until: at(9999))))
    }

    @Test("A bypass that has ended by itself is not begun again, whoever was away at its end")
    func ends() {
        #expect(step(Self.short, end: 900) == .rest(.expired(at(900))))
        #expect(step(Self.short, applied: Options(ttl: 900), end: 1000) == .rest(.expired(at(1000))))
        #expect(step(Self.plain, end: 900) == .rest(.expired(at(900))))
    }

    @Test("One that was lost before its end goes on for the rest of its time")
    func lost() {
        #expect(step(Self.short, end: 1100) == .turnOn(Options(ttl: 900), ttl: 100))
        // A pod that is given another time gets all of it.
        #expect(step(Self.short, applied: Options(ttl: 60), end: 900) == .turnOn(Options(ttl: 900), ttl: 900))
    }

    @Test("What still goes to the sidecar is told; old connections are no fault")
    func effect() {
        #expect(PodState(of: bypass(warnings: ["established-connections"])) == .on(until: nil))
        let redirect = PodState(of: bypass(effective: false, warnings: ["established-connections", "redirect"]))
        #expect(redirect.text == "on, not effective: redirect")
        #expect(PodState(of: bypass(warnings: ["no-interception"])).text == "on, not effective: no-interception")
        let damaged = PodState(of: bypass(until: 60, state: .degraded, warnings: ["rule-missing"]))
        #expect(damaged.text == "on until 1970-01-01T00:01:00Z, not effective: rule-missing")
    }

    @Test("The annotation remembers when a bypass was to end")
    func memory() {
        for bypass in [bypass(until: 60), bypass(until: 60, effective: false, warnings: ["redirect"])] {
            #expect(PodState.end(in: PodState(of: bypass).text) == at(60))
        }
        let others: [PodState] = [.on(until: nil), .waiting("x"), .refused("x"), .failed("x"), .expired(at(60))]
        for state in others { #expect(PodState.end(in: state.text) == nil) }
        #expect(PodState.end(in: nil) == nil && PodState.end(in: "on until tomorrow") == nil)
    }

    @Test("Each state is told by an Event of its own, with what to do")
    func events() {
        func event(_ state: PodState) -> (String, Bool)? {
            state.event(direction: .both).map { ($0.reason, $0.isWarning) }
        }
        #expect(event(.on(until: nil)) ?? ("", true) == ("BypassEnabled", false))
        #expect(event(.off(wasOn: true)) ?? ("", true) == ("BypassDisabled", false))
        #expect(event(.off(wasOn: false)) == nil)
        #expect(event(.expired(at(0))) ?? ("", true) == ("BypassExpired", false))
        #expect(event(.refused("x")) ?? ("", false) == ("BypassFailed", true))
        #expect(event(.failed("x")) ?? ("", false) == ("BypassFailed", true))
        let odd = PodState(of: bypass(effective: false, warnings: ["redirect"]))
        #expect(event(odd) ?? ("", false) == ("BypassNotEffective", true))
        #expect(odd.event(direction: .both)?.message.contains("about redirect") == true)
        #expect(event(.waiting("x")) == nil)
    }
}
