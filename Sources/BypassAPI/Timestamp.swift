public import StrictJSON

/// A moment as it is on the wire: RFC 3339 in UTC, to the second, such as `2026-11-23T23:12:07Z`.
public struct Timestamp: Hashable, Sendable, Comparable, CustomStringConvertible {
    public var secondsSince1970: Int64

    public init(secondsSince1970: Int64) {
        self.secondsSince1970 = secondsSince1970
    }

    public static func < (a: Self, b: Self) -> Bool { a.secondsSince1970 < b.secondsSince1970 }

    public var description: String {
        String(decoding: text, as: UTF8.self)
    }

    private var text: [UInt8] {
        let (day, second) = secondsSince1970.quotientAndRemainder(floored: 86400)
        let date = CivilDate(daysSince1970: day)
        var text: [UInt8] = []
        text.reserveCapacity(20)
        func append(_ value: Int64, _ separator: Unicode.Scalar) {
            text.append(UInt8(ascii: "0") + UInt8(value / 10))
            text.append(UInt8(ascii: "0") + UInt8(value % 10))
            text.append(UInt8(ascii: separator))
        }
        // Four digits, as RFC 3339 has it; more where the moment is that far away.
        let year = String(date.year)
        text += repeatElement(UInt8(ascii: "0"), count: max(0, 4 - year.utf8.count))
        text += year.utf8
        text.append(UInt8(ascii: "-"))
        append(date.month, "-")
        append(date.day, "T")
        append(second / 3600, ":")
        append(second / 60 % 60, ":")
        append(second % 60, "Z")
        return text
    }

    /// Takes the form of `description`, and nothing else.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == 20 else { return nil }
        func number(_ range: Range<Int>) -> Int64? {
            var value: Int64 = 0
            for byte in bytes[range] {
                guard (0x30...0x39).contains(byte) else { return nil }
                value = value * 10 + Int64(byte - 0x30)
            }
            return value
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
            let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19)
        else { return nil }
        let days = CivilDate(year: year, month: month, day: day).daysSince1970
        self.init(secondsSince1970: days * 86400 + hour * 3600 + minute * 60 + second)
        // Separators and ranges (a 13th month, a 31st of June) in one comparison.
        guard description == text else { return nil }
    }
}

extension Timestamp: JSONWritable {
    public func write(to text: inout JSONText) {
        text.append(description)
    }
}

extension Timestamp: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let timestamp = Timestamp(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "must be an RFC 3339 time in UTC")
        }
        self = timestamp
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// A date of the Gregorian calendar. Eras of 400 years that begin in March make the leap day the last one of a year.
private struct CivilDate {
    var year: Int64
    var month: Int64
    var day: Int64

    init(year: Int64, month: Int64, day: Int64) {
        (self.year, self.month, self.day) = (year, month, day)
    }

    init(daysSince1970: Int64) {
        let (era, dayOfEra) = (daysSince1970 + 719_468).quotientAndRemainder(floored: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
    }

    var daysSince1970: Int64 {
        let (era, yearOfEra) = (month <= 2 ? year - 1 : year).quotientAndRemainder(floored: 400)
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}

extension Int64 {
    fileprivate func quotientAndRemainder(floored divisor: Int64) -> (Int64, Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}
