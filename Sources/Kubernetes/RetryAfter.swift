internal import FoundationEssentials

/// The header `Retry-After` (RFC 9110): the API server sends seconds, and a proxy before it may send a date.
enum RetryAfter {
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// Seconds from now; nil if the value is neither.
    static func seconds(_ value: String, now: Date = .now) -> Int? {
        if let seconds = Int(value) { return seconds }
        guard let date = date(value) else { return nil }
        return Int(Swift.max(date.timeIntervalSince(now).rounded(.up), 0))
    }

    /// `Wed, 21 Oct 2026 07:28:00 GMT`, the only form that servers may send.
    private static func date(_ value: String) -> Date? {
        let parts = value.split(separator: " ")
        guard parts.count == 6, parts[5] == "GMT", let month = months.firstIndex(of: String(parts[2])) else {
            return nil
        }
        let number = (month < 9 ? "0" : "") + "\(month + 1)"
        return try? Date("\(parts[3])-\(number)-\(parts[1])T\(parts[4])Z", strategy: .iso8601)
    }
}
