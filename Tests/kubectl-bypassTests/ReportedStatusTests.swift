import BypassAPI
import PodBypass
import Testing

/// The status annotation, as clients read it.
@Suite struct ReportedStatusTests {
    private static let until = Timestamp("2026-11-26T16:00:00Z")

    @Test(
        "Everything that the controller writes is understood",
        arguments: [
            (.on(until: nil), .on), (.notEffective(until: nil, codes: "redirect", sentences: ""), .notEffective),
            (.notEffective(until: nil, isPartial: true, codes: "tproxy", sentences: ""), .partlyEffective),
            (.contested(until: nil, sentences: ""), .contested), (.nothingToBypass(until: nil), .nothingToBypass),
            (.unchanged(until: nil, "an annotation, contested"), .unchanged), (.waiting("soon"), .waiting),
            (.refused("no"), .refused), (.failed("on"), .failed), (.expired(Timestamp(secondsSince1970: 0)), .expired),
            (.offNotEffective(sentences: ""), .offNotEffective),
        ] as [(BypassCondition, ReportedStatus.State)])
    func states(_ condition: BypassCondition, _ state: ReportedStatus.State) throws {
        let status = ReportedStatus(try #require(condition.annotation))
        #expect(status.state == state && status.until == nil)
    }

    @Test(
        "With the time of the end, too",
        arguments: [
            (.on(until: until), .on), (.notEffective(until: until, codes: "redirect", sentences: ""), .notEffective),
            (.contested(until: until, sentences: ""), .contested), (.nothingToBypass(until: until), .nothingToBypass),
            (.unchanged(until: until, "x"), .unchanged), (.waiting("x", until: until), .waiting),
            (.refused("x", until: until), .refused), (.failed("x", until: until), .failed),
        ] as [(BypassCondition, ReportedStatus.State)])
    func ends(_ condition: BypassCondition, _ state: ReportedStatus.State) throws {
        let status = ReportedStatus(try #require(condition.annotation))
        #expect(status.state == state && status.until == Self.until)
    }

    @Test(
        "What it does not know is not taken for good", arguments: ["", "once", "on, perhaps", "on until soon", "off"])
    func unknown(_ text: String) {
        let status = ReportedStatus(text)
        #expect(status.state == .unknown && status.isEffective == nil)
    }
}
