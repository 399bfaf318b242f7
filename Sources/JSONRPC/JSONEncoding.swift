public import NIOCore

/// Writes `Encodable` values as compact JSON, the members of an object in the order in which they are encoded.
///
/// An absent optional is written as `null`, synthesized conformances included: what is sent has the same members
/// whatever their values.
public enum JSONEncoding {
    /// The same as a text.
    public static func text(of value: some Encodable) throws -> String {
        var buffer = ByteBuffer()
        try write(value, into: &buffer)
        return String(buffer: buffer)
    }

    /// Appends `value` to `buffer`.
    ///
    /// - Throws: `EncodingError` for a number that is not finite, a `superEncoder`, a container used after its parent
    ///   went on, and whatever the value's own `encode(to:)` throws; nothing is written then.
    public static func write(_ value: some Encodable, into buffer: inout ByteBuffer) throws {
        let output = EncoderOutput()
        try output.write(value)
        buffer.writeBytes(try output.finish().bytes)
    }
}
