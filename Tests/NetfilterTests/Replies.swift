@testable import Netfilter

/// What the kernel would say, made by hand: attributes in each other, and messages behind each other.
enum Reply {
    static func attribute(_ type: UInt16, _ payload: [UInt8]) -> [UInt8] {
        var bytes = little(UInt16(payload.count + 4)) + little(type) + payload
        while bytes.count % 4 != 0 { bytes.append(0) }
        return bytes
    }

    static func text(_ type: UInt16, _ text: String) -> [UInt8] { attribute(type, Array(text.utf8) + [0]) }
    static func number(_ type: UInt16, _ number: UInt32) -> [UInt8] { attribute(type, big(number)) }
    static func number64(_ type: UInt16, _ number: UInt64) -> [UInt8] { attribute(type, big(number)) }
    static func nested(_ type: UInt16, _ parts: [UInt8]...) -> [UInt8] {
        attribute(type | 0x8000, parts.flatMap(\.self))
    }

    static func message(_ type: UInt16, flags: UInt16 = 2, family: UInt8 = 2, _ attributes: [UInt8]...) -> [UInt8] {
        let payload = [family, 0, 0, 0] + attributes.flatMap(\.self)
        return little(UInt32(payload.count + 16)) + little(type) + little(flags) + little(UInt32(1))
            + little(UInt32(0)) + payload
    }

    /// An element of a rule's expressions.
    static func expression(_ name: String, _ data: [UInt8]...) -> [UInt8] {
        nested(1, text(1, name), nested(2, data.flatMap(\.self)))
    }

    static func rule(_ chain: String, handle: UInt64 = 7, family: UInt8 = 2, _ expressions: [UInt8]...) -> [UInt8] {
        message(
            MessageType.newRule, family: family, text(1, "nat"), text(2, chain), number64(3, handle),
            nested(4, expressions.flatMap(\.self)))
    }

    static func verdict(_ code: Int32, _ chain: String? = nil) -> [UInt8] {
        let target = chain.map { text(2, $0) } ?? []
        return expression("immediate", number(1, 0), nested(2, nested(2, number(1, UInt32(bitPattern: code)), target)))
    }

    static func match(_ pin: String, mode: UInt8 = 1, revision: UInt32 = 1, size: Int = 528) -> [UInt8] {
        let path = Array(pin.utf8)
        let information = [mode, 0, 0, 0, 9, 0, 0, 0] + path + Array(repeating: 0, count: 520 - path.count)
        return expression("match", text(1, "bpf"), number(2, revision), attribute(3, Array(information.prefix(size))))
    }

    /// As the kernel reports it, with 14 packets counted.
    static let ourRule = rule(
        "OUTPUT", match("/sys/fs/bpf/bypass"), expression("counter", number64(1, 840), number64(2, 14)), verdict(-5))

    static func little<Integer: FixedWidthInteger>(_ number: Integer) -> [UInt8] {
        (0..<Integer.bitWidth / 8).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
    }

    static func big<Integer: FixedWidthInteger>(_ number: Integer) -> [UInt8] { little(number).reversed() }

    /// What is read from a receive buffer that holds just these bytes.
    static func read<Value>(_ bytes: [UInt8], _ body: (NetlinkMessage) -> Value?) -> [Value] {
        unsafe bytes.withUnsafeBytes { buffer in
            var messages = unsafe NetlinkMessages(buffer)
            var values: [Value] = []
            while let message = messages.next() {
                if let value = body(message) { values.append(value) }
            }
            return values
        }
    }
}
