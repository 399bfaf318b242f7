import JSONRPC
import NIOCore

/// The value of a text that has to be JSON.
func json(_ text: String, maximumDepth: Int = JSONReader.defaultDepth) throws(JSONReadError) -> JSONValue {
    try JSONReader.read(ByteBuffer(string: text), maximumDepth: maximumDepth)
}

/// The JSON of a value.
func text(_ value: some Encodable) throws -> String {
    var buffer = ByteBuffer()
    try JSONEncoding.write(value, into: &buffer)
    return String(buffer: buffer)
}

func read(_ line: String, limits: Incoming.Limits = .init()) -> Incoming {
    Incoming.read(ByteBuffer(string: line), limits: limits)
}

/// The error a line is refused with as a whole, or nil.
func rejection(_ line: String, limits: Incoming.Limits = .init()) -> Rejection? {
    guard case .single(.rejection(let rejection)) = read(line, limits: limits) else { return nil }
    return rejection
}

/// The request of a line that is one, or nil.
func request(_ line: String) -> Request? {
    guard case .single(.request(let request)) = read(line) else { return nil }
    return request
}
