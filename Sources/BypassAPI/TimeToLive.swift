/// The time until a bypass expires, as people write it: `90`, `90s`, `15m` or `2h`.
public struct TimeToLive: Hashable, Sendable {
    public let seconds: Int

    /// 100 years, in seconds: CLOCK_BOOTTIME in nanoseconds has to hold every deadline.
    public static let maxSeconds = 3_155_760_000

    /// Why a text is not a time to live, as a hint at a valid one.
    public struct Malformed: Error, Hashable, Sendable, CustomStringConvertible {
        public let description: String
    }

    public init(_ text: String) throws(Malformed) {
        var digits = text.utf8[...]
        let unit: Int
        switch digits.last {
        case UInt8(ascii: "h"): unit = 3600
        case UInt8(ascii: "m"): unit = 60
        case UInt8(ascii: "s"): unit = 1
        default: unit = 0
        }
        if unit > 0 { digits.removeLast() }
        // Int also takes a sign.
        guard !digits.isEmpty, digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            throw Malformed(description: "give seconds, or a whole number with s, m or h, such as 15m")
        }
        let product = Int(Substring(digits))?.multipliedReportingOverflow(by: max(unit, 1))
        guard let (seconds, overflow) = product, !overflow, seconds <= Self.maxSeconds else {
            throw Malformed(description: "it must be 100 years (\(Self.maxSeconds) seconds) or less")
        }
        guard seconds > 0 else { throw Malformed(description: "it must be at least one second") }
        self.seconds = seconds
    }
}
