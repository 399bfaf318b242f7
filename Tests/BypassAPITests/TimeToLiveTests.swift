import BypassAPI
import Testing

@Suite struct TimeToLiveTests {
    @Test(
        "A time is seconds, or numbers with their units",
        arguments: [
            ("1", 1), ("90", 90), ("90s", 90), ("15m", 900), ("2h", 7200), ("007", 7),
            ("3155760000", TimeToLive.maxSeconds), ("876600h", TimeToLive.maxSeconds),
            ("1d", 86400), ("1h30m", 5400), ("1d12h", 129_600), ("2m5s", 125), ("1d0h0m1s", 86401), ("90m", 5400),
            ("36524d12h", 3_155_716_800), ("36525d", TimeToLive.maxSeconds),
        ])
    func known(_ text: String, _ seconds: Int) throws {
        #expect(try TimeToLive(text).seconds == seconds)
    }

    @Test(
        "A text that is not a time, or too long a time, is refused",
        arguments: [
            "", "s", "m", "0", "0h", "-1", "+1", "-5m", "1.5h", "1 m", " 1", "15M", "٣", "0x10", "1w", "1m1h", "1h1h",
            "1h30",
            "h1", "1h m", "1d-1s", "0d0s", "36525d1s",
            "3155760001", "876601h", "9223372036854775808", "2562047788015216h", "99999999999999999999999999m",
        ])
    func malformed(_ text: String) {
        #expect(throws: TimeToLive.Malformed.self) { try TimeToLive(text) }
    }
}
