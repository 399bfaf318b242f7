import BypassAPI
import Linux
import Testing

@testable import BypassDaemon

@Suite struct ExemptionCheckTests {
    private static let start = Instant(nanoseconds: 1_000_000_000)
    private let ports: ConnectionSet

    init() throws { ports = try ConnectionSet(ports: [PortRange(53)]) }

    private func checks(taking time: Interval) -> ExemptionChecks {
        let checks = ExemptionChecks()
        checks.record(7, ports, 1, from: Self.start, to: Self.start + time)
        return checks
    }

    @Test("What has changed is checked with the next round, and all else every ten seconds")
    func pauses() throws {
        let checks = checks(taking: .milliseconds(1))
        let round = Self.start + .seconds(2)
        #expect(!checks.isDue(7, ports, 1, at: round))
        #expect(checks.isDue(7, ports, 2, at: round), "another ruleset")
        #expect(checks.isDue(7, ports, nil, at: round), "an unknown one")
        #expect(checks.isDue(7, try ConnectionSet(ports: [PortRange(54)]), 1, at: round))
        #expect(checks.isDue(8, ports, 1, at: round), "another namespace")
        #expect(checks.isDue(7, ports, 1, at: Self.start + .seconds(11)))
        checks.remove(7)
        #expect(checks.isDue(7, ports, 1, at: round))
    }

    @Test("What takes long takes a tenth of the time, however often rules change")
    func longOnes() {
        let checks = checks(taking: .seconds(2))
        #expect(!checks.isDue(7, ports, 2, at: Self.start + .seconds(21)))
        #expect(checks.isDue(7, ports, 2, at: Self.start + .seconds(23)))
    }
}
