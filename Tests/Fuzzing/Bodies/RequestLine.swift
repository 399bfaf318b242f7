internal import BypassAPI
internal import JSONRPC
internal import StrictJSON

/// What a client sends: cut into lines, read, bound to parameters, and answered, as the daemon does it.
///
/// The first two bytes of an input say in which pieces the others arrive.
public enum RequestLine {
    /// Low, so that short inputs come to them.
    private static let limits = Incoming.Limits(depth: 8, batch: 8)
    private static let lineLimit = 1024

    public static func check(_ input: [UInt8]) throws(BrokenPromise) {
        guard input.count >= 2 else { return }
        let stream = input[2...]
        let frames = frames(of: stream, pieces: [stream.count])
        try promise(
            frames == Self.frames(of: stream, pieces: input[..<2].map { Int($0) + 1 }),
            "the lines depend on how the stream is cut into reads")
        for case .line(let line) in frames {
            try promise(line.count <= lineLimit && !line.contains(UInt8(ascii: "\n")), "that is no line: \(line)")
            let incoming = Incoming.read(line, limits: limits)
            let answer = try Answer(to: incoming)
            try answer.checkLine(for: incoming)
            try answer.checkNumbers(in: Array(line))
            // A client reads whatever calls itself a daemon.
            _ = try? Response.read(line.span)
        }
    }

    /// - Parameter pieces: the sizes of the reads, over and over.
    private static func frames(of stream: ArraySlice<UInt8>, pieces: [Int]) -> [LineFramer.Frame] {
        var framer = LineFramer(limit: lineLimit)
        var frames: [LineFramer.Frame] = []
        var rest = stream
        for size in repeatElement(pieces, count: stream.count + 1).lazy.joined() {
            if rest.isEmpty { break }
            framer.feed(Array(rest.prefix(size)))
            rest = rest.dropFirst(size)
            while let frame = framer.next() { frames.append(frame) }
        }
        if let last = framer.finish() { frames.append(last) }
        return frames
    }
}
