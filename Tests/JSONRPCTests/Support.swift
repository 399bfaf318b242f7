import JSONRPC
import StrictJSON

func read(_ line: String, limits: Incoming.Limits = .init()) -> Incoming {
    Incoming.read(line.utf8Span.span, limits: limits)
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
