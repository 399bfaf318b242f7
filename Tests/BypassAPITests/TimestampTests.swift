import BypassAPI
import StrictJSON
import Testing

@Suite struct TimestampTests {
    @Test(
        "A moment is RFC 3339 in UTC, and comes back as it was",
        arguments: [
            (0, "1970-01-01T00:00:00Z"), (1_795_475_527, "2026-11-23T23:12:07Z"), (-1, "1969-12-31T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"), (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"), (253_402_300_799, "9999-12-31T23:59:59Z"),
            (-62_167_219_200, "0000-01-01T00:00:00Z"),
        ])
    func known(_ seconds: Int64, _ text: String) {
        #expect(Timestamp(secondsSince1970: seconds).description == text)
        #expect(Timestamp(text) == Timestamp(secondsSince1970: seconds))
    }

    @Test("Every day of four centuries comes back, each a day after the last")
    func everyDay() {
        var last = ""
        for day in -10_000..<140_000 {
            let moment = Timestamp(secondsSince1970: Int64(day) * 86400)
            let text = moment.description
            if Timestamp(text) != moment || text <= last {
                Issue.record("\(text) after \(last)")
                return
            }
            last = text
        }
    }

    @Test(
        "A text that is not such a moment is refused",
        arguments: [
            "", "now", "2026-11-23", "2026-11-23T23:12:07", "2026-11-23T23:12:07+00:00", "2026-11-23T23:12:07.5Z",
            "2026-11-23t23:12:07z", "2026-11-23 23:12:07Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
            "2026-06-31T00:00:00Z", "2023-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2026-11-23T24:00:00Z",
            "2026-11-23T23:60:00Z", "2026-11-23T23:12:60Z", "2026-1１-23T23:12:7Z", "+026-11-23T23:12:07Z",
        ])
    func refused(_ text: String) {
        #expect(Timestamp(text) == nil)
        #expect(throws: JSONDecodingError.self) { try JSONDecoding.decode(Timestamp.self, from: .string(text)) }
    }
}
