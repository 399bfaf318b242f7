/// The registers of nf_tables while a rule is evaluated: 64 bytes, of which each is known or not.
struct Registers {
    private var bytes = [UInt8?](repeating: nil, count: 64)
    /// What begins at a byte, where it is one of several values: names and numbers of interfaces.
    private var alternatives: [Int: [[UInt8]]] = [:]

    /// NFT_REG_1 to 4 have 16 bytes, NFT_REG32_00 to 15 have 4; nil for the verdict and for any other number.
    static func offset(_ register: UInt32) -> Int? {
        switch register {
        case 1...4: Int(register - 1) * 16
        case 8...23: Int(register - 8) * 4
        default: nil
        }
    }

    mutating func write(_ value: [UInt8?], at offset: Int) {
        forget(offset, value.count)
        for (index, byte) in value.enumerated() where offset + index < bytes.count { bytes[offset + index] = byte }
    }

    /// - Parameter values: all of the same length; at least one.
    mutating func write(oneOf values: [[UInt8]], at offset: Int) {
        let count = values.first?.count ?? 0
        if values.count == 1 { return write(values[0], at: offset) }
        write(Array(repeating: nil, count: count), at: offset)
        alternatives[offset] = values
    }

    mutating func writeUnknown(at offset: Int) {
        write(Array(repeating: nil, count: 16), at: offset)
    }

    private mutating func forget(_ offset: Int, _ count: Int) {
        for key in alternatives.keys where key < offset + count && key + 16 > offset { alternatives[key] = nil }
    }

    func read(_ count: Int, at offset: Int) -> [UInt8?] {
        (0..<count).map { offset + $0 < bytes.count ? bytes[offset + $0] : nil }
    }

    /// Every value that may be there; one, with bytes that are not known, where there are no alternatives.
    func readAll(_ count: Int, at offset: Int) -> [[UInt8?]] {
        guard let values = alternatives[offset] else { return [read(count, at: offset)] }
        return values.map { value in (0..<count).map { $0 < value.count ? value[$0] : 0 } }
    }

    /// Whether the test holds for every value that may be there; nil if it does for some, or is not known for one.
    func test(_ count: Int, at offset: Int, _ holds: ([UInt8?]) -> Bool?) -> Bool? {
        var result: Bool??
        for value in readAll(count, at: offset) {
            let answer = holds(value)
            if let result, result != answer { return nil }
            result = answer
        }
        return result ?? nil
    }
}

extension RulePart.Comparison {
    /// As memcmp(3) does; nil if a byte that is not known decides.
    func holds(_ value: [UInt8?], _ other: [UInt8]) -> Bool? {
        if self == .equal || self == .notEqual {
            var isKnown = true
            for (a, b) in zip(value, other) {
                guard let a else {
                    isKnown = false
                    continue
                }
                if a != b { return self == .notEqual }
            }
            return isKnown ? self == .equal : nil
        }
        let known = value.prefix { $0 != nil }.compactMap(\.self)
        let comparable = Array(other.prefix(known.count))
        if known == comparable {
            guard known.count == value.count else { return nil }
            return self == .lessOrEqual || self == .greaterOrEqual
        }
        let isLess = known.lexicographicallyPrecedes(comparable)
        return (self == .less || self == .lessOrEqual) == isLess
    }
}
