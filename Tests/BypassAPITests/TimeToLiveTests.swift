import BypassAPI
import Testing

@Suite struct TimeToLiveTests {
    @Test(
        "A time is seconds, or a number with its unit",
        arguments: [
            ("1", 1), ("90", 90), ("90s", 90), ("15m", 900), ("2h", 7200), ("007", 7),
            ("3155760000", TimeToLive.maxSeconds), ("876600h", TimeToLive.maxSeconds),
        ])
    func known(_ text: String, _ seconds: Int) throws {
        #expect(try TimeToLive(text).seconds == seconds)
    }

    @Test(
        "What is no time, or too long a one, is refused",
        arguments: [
            "", "s", "m", "0", "0h", "-1", "+1", "-5m", "1.5h", "1 m", " 1", "1d", "15M", "1h30m", "٣", "0x10",
            "3155760001", "876601h", "9223372036854775808", "2562047788015216h", "99999999999999999999999999m",
        ])
    func malformed(_ text: String) {
        #expect(throws: TimeToLive.Malformed.self) { try TimeToLive(text) }
    }
}
