/// Prometheus' text format, version 0.0.4.
struct Exposition {
    private(set) var text = ""

    mutating func begin(_ name: String, help: String?, _ type: String) {
        if let help { text += "# HELP \(name) \(Self.escaped(help, quotes: false))\n" }
        text += "# TYPE \(name) \(type)\n"
    }

    /// - Parameter labels: as ``labels(_:)`` writes them.
    mutating func add(_ name: String, _ labels: String, _ value: String) {
        text += labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels)} \(value)\n"
    }

    /// A histogram's buckets each hold what the smaller ones hold, too.
    mutating func add(_ name: String, _ labels: String, _ histogram: Histogram.Snapshot) {
        let prefix = labels.isEmpty ? "" : labels + ","
        var total: UInt64 = 0
        for (index, count) in histogram.counts.enumerated() {
            total += count
            let bounds = Histogram.Snapshot.bounds
            let bound = index < bounds.count ? Self.number(Double(bounds[index]) / 1e9) : "+Inf"
            add(name + "_bucket", prefix + "le=\"\(bound)\"", "\(total)")
        }
        add(name + "_sum", labels, Self.number(Double(histogram.nanoseconds) / 1e9))
        add(name + "_count", labels, "\(total)")
    }

    /// Labels in the order of their names, so that one set is one text.
    static func labels(_ dimensions: [(String, String)]) -> String {
        dimensions.sorted { $0.0 < $1.0 }.map { "\($0.0)=\"\(escaped($0.1, quotes: true))\"" }.joined(separator: ",")
    }

    /// Whole numbers without a point.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        return value == value.rounded() && abs(value) < 1e15 ? "\(Int64(value))" : "\(value)"
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for character in text {
            switch character {
            case "\\": result += "\\\\"
            case "\n", "\r\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.append(character)
            }
        }
        return result
    }
}
