/// How long to wait after failures in a row.
public struct Backoff: Sendable {
    /// After the first failure, at most.
    public var first: Duration
    public var longest: Duration
    public private(set) var failures = 0

    public init(first: Duration = .milliseconds(200), longest: Duration = .seconds(30)) {
        self.first = first
        self.longest = longest
    }

    /// Doubles with each failure; somewhere in the second half of that, so that many who lost the same server do not come
    /// back at the same moment.
    public mutating func next() -> Duration {
        let most = min(first * (1 << min(failures, 20)), longest)
        failures += 1
        return most / 2 + most / 2 * Double.random(in: 0...1)
    }

    public mutating func reset() { failures = 0 }
}
