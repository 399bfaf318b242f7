/// The time until a bypass expires, as people write it: `90`, `90s`, `15m`, `1h30m` or `1d`.
public struct TimeToLive: Hashable, Sendable {
    public let seconds: Int

    /// 100 years, in seconds: CLOCK_BOOTTIME in nanoseconds has to hold every deadline.
    public static let maxSeconds = 3_155_760_000
    static let schema = Schema.integer(minimum: 1, maximum: maxSeconds)

    /// A hint at a valid time to live, for a text that is not one.
    public struct Malformed: Error, Hashable, Sendable, CustomStringConvertible {
        public let description: String
    }

    private static let malformed = Malformed(
        description: "give seconds, or whole numbers with d, h, m or s, the largest first, such as 15m or 1h30m")
    private static let units: [(letter: UInt8, seconds: Int)] = [
        (UInt8(ascii: "d"), 86400), (UInt8(ascii: "h"), 3600), (UInt8(ascii: "m"), 60), (UInt8(ascii: "s"), 1),
    ]

    /// A length of time as the policy file and `--for` have it: not rounded, such as `8h`, `90m` or `3601s`.
    package static func text(seconds: Int) -> String {
        if seconds % 3600 == 0 { return "\(seconds / 3600)h" }
        if seconds % 60 == 0 { return "\(seconds / 60)m" }
        return "\(seconds)s"
    }

    public init(_ text: String) throws(Malformed) {
        var rest = text.utf8[...]
        var units = Self.units[...]
        var total: Int?
        while !rest.isEmpty {
            // Int also takes a sign.
            let digits = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            rest = rest.dropFirst(digits.count)
            let unit: Int
            if let letter = rest.popFirst() {
                guard let index = units.firstIndex(where: { $0.letter == letter }) else { throw Self.malformed }
                unit = units[index].seconds
                units = units[(index + 1)...]
            } else {
                // Without a unit it is seconds, and all that there is.
                guard total == nil else { throw Self.malformed }
                unit = 1
            }
            guard !digits.isEmpty else { throw Self.malformed }
            let part = Int(Substring(digits))?.multipliedReportingOverflow(by: unit)
            guard let (seconds, overflow) = part, !overflow, seconds <= Self.maxSeconds - (total ?? 0) else {
                throw Malformed(description: "it must be 100 years (\(Self.maxSeconds) seconds) or less")
            }
            total = (total ?? 0) + seconds
        }
        guard let seconds = total else { throw Self.malformed }
        guard seconds > 0 else { throw Malformed(description: "it must be at least one second") }
        self.seconds = seconds
    }
}
