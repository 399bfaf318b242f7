internal import CLibmnl
internal import Glibc

/// The attributes of a netlink message, or nested in one, read in place: valid as long as the receive buffer is.
///
/// libmnl walks; every length is checked before a payload is read, whatever the sender says.
@safe
struct Attributes: Sequence, IteratorProtocol {
    private var rest: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) {
        unsafe rest = bytes
    }

    mutating func next() -> Attribute? {
        guard let base = unsafe rest.baseAddress, unsafe rest.count >= MemoryLayout<nlattr>.size else { return nil }
        let header = unsafe base.assumingMemoryBound(to: nlattr.self)
        guard unsafe mnl_attr_ok(header, CInt(clamping: rest.count)) else { return nil }
        let length = Int(unsafe header.pointee.nla_len)
        let payload = unsafe UnsafeRawBufferPointer(rebasing: rest[MemoryLayout<nlattr>.size..<length])
        let type = unsafe mnl_attr_get_type(header)
        // The last attribute may end without its padding.
        unsafe rest = UnsafeRawBufferPointer(rebasing: rest[Swift.min((length + 3) & ~3, rest.count)...])
        return unsafe Attribute(type: CInt(type), payload: payload)
    }
}

/// One netlink attribute.
@safe
struct Attribute {
    let type: CInt
    private let payload: UnsafeRawBufferPointer

    init(type: CInt, payload: UnsafeRawBufferPointer) {
        self.type = type
        unsafe self.payload = payload
    }

    var nested: Attributes { unsafe Attributes(payload) }

    var bytes: [UInt8] { unsafe Array(payload) }

    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result { unsafe body(payload) }

    /// Netfilter's integers are big-endian.
    var uint32: UInt32? { integer() }
    var uint64: UInt64? { integer() }
    var uint16: UInt16? { integer() }
    var uint8: UInt8? { integer() }

    /// Those of rtnetlink are in the machine's own byte order.
    var hostUInt32: UInt32? { uint32.map { UInt32(bigEndian: $0) } }

    /// Up to the first NUL; bytes that are not UTF-8 become U+FFFD.
    var string: String {
        unsafe String(decoding: payload.prefix { $0 != 0 }, as: UTF8.self)
    }

    /// The same as it is.
    var text: [UInt8] {
        unsafe Array(payload.prefix { $0 != 0 })
    }

    /// Whether the text is `name`, without making a String of it.
    func isString(_ name: StaticString) -> Bool {
        let length = name.utf8CodeUnitCount
        guard let text = unsafe payload.baseAddress, unsafe payload.count == length + 1, unsafe payload[length] == 0
        else { return false }
        return unsafe memcmp(text, name.utf8Start, length) == 0
    }

    /// Whether `text` is this name.
    func isText(_ text: [UInt8]) -> Bool {
        unsafe payload.count >= text.count && payload.prefix(text.count).elementsEqual(text)
            && (payload.count == text.count || payload[text.count] == 0)
    }

    private func integer<Integer: FixedWidthInteger>() -> Integer? {
        guard unsafe payload.count >= MemoryLayout<Integer>.size else { return nil }
        return unsafe Integer(bigEndian: payload.loadUnaligned(as: Integer.self))
    }
}
