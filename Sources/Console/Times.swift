package import BypassAPI

/// A length of time in its two largest units, such as `2h 5m`: more digits only hide the ones that count.
package func spell(seconds: Int64) -> String {
    let units: [(name: String, seconds: Int64)] = [("d", 86400), ("h", 3600), ("m", 60), ("s", 1)]
    guard let first = units.firstIndex(where: { seconds >= $0.seconds }) else { return "0s" }
    let large = "\(seconds / units[first].seconds)\(units[first].name)"
    guard first + 1 < units.count else { return large }
    let small = seconds % units[first].seconds / units[first + 1].seconds
    return small == 0 ? large : "\(large) \(small)\(units[first + 1].name)"
}

/// The time until `moment`, such as `in 14m 32s`.
package func remaining(until moment: Timestamp, now: Timestamp) -> String {
    let seconds = moment.secondsSince1970 - now.secondsSince1970
    return seconds > 0 ? "in \(spell(seconds: seconds))" : "now"
}

/// The time since `moment`, such as `2h 5m ago`. The clocks of two readings may differ by a step backwards.
package func elapsed(since moment: Timestamp, now: Timestamp) -> String {
    "\(spell(seconds: max(0, now.secondsSince1970 - moment.secondsSince1970))) ago"
}
