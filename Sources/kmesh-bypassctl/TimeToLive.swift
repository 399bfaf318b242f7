internal import ArgumentParser

/// How long a bypass is to last, in seconds, as `--for` takes it: `90`, `90s`, `15m` or `2h`.
struct TimeToLive: Equatable {
    let seconds: Int

    /// - Throws: `ValidationError` with a sentence about what would be taken.
    static func parse(_ text: String) throws -> TimeToLive {
        var digits = text.utf8[...]
        let unit: Int
        switch digits.last {
        case UInt8(ascii: "h"): unit = 3600
        case UInt8(ascii: "m"): unit = 60
        case UInt8(ascii: "s"): unit = 1
        default: unit = 0
        }
        if unit > 0 { digits.removeLast() }
        // Int would take a sign as well.
        guard !digits.isEmpty, digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            throw ValidationError("give seconds, or a whole number with s, m or h, such as 15m")
        }
        let product = Int(Substring(digits))?.multipliedReportingOverflow(by: max(unit, 1))
        guard let (seconds, overflow) = product, !overflow else { throw ValidationError("that is too long") }
        guard seconds > 0 else { throw ValidationError("it must be at least one second") }
        return TimeToLive(seconds: seconds)
    }
}
