import StrictJSON
import Testing

@Suite struct LineFramerTests {
    /// What a framer makes of a stream that arrives in `pieces`.
    private func frames(_ pieces: [some Collection<UInt8>], limit: Int = 64 * 1024) -> [String] {
        var framer = LineFramer(limit: limit)
        var frames: [LineFramer.Frame] = []
        for piece in pieces {
            framer.feed(Array(piece).span)
            while let frame = framer.next() { frames.append(frame) }
        }
        if let frame = framer.finish() { frames.append(frame) }
        #expect(!framer.isInsideLine)
        return frames.map { frame in
            switch frame {
            case .line(let line): String(decoding: line, as: UTF8.self)
            case .blank: "blank"
            case .overlong: "overlong"
            }
        }
    }

    @Test func givesTheSameLinesHoweverTheStreamIsCut() {
        let text = "one\r\n\n \t\r\n\r\ntwo \r\n{\r}\nexactly10!\r\nmore than ten\nx\n far too long again\r\nlast"
        let stream = Array(text.utf8)
        let expected = [
            "one", "blank", "blank", "blank", "two ", "{\r}", "exactly10!", "overlong", "x", "overlong", "last",
        ]
        #expect(frames([stream], limit: 10) == expected)
        #expect(frames(stream.map { [$0] }, limit: 10) == expected)
        for first in 0...stream.count {
            #expect(frames([stream[..<first], stream[first...]], limit: 10) == expected)
            for second in first...stream.count {
                let pieces = [stream[..<first], stream[first..<second], stream[second...]]
                guard frames(pieces, limit: 10) == expected else { return #expect(Bool(false), "\(first) \(second)") }
            }
        }
    }

    @Test(arguments: [
        ("a", ["a"]), ("a\r", ["a"]), ("a\n", ["a"]), ("a\n \r", ["a", "blank"]), ("", []),
        ("\n\r\n", ["blank", "blank"]),
    ])
    func takesALastLineWithoutItsEnd(_ stream: String, _ expected: [String]) {
        #expect(frames([Array(stream.utf8)]) == expected)
    }

    @Test(arguments: ["\n", "\r\n", ""])
    func boundsTheLineNotItsEnding(_ ending: String) {
        for cut in [1, 64, 65, 66] {
            func frames(_ length: Int) -> [String] {
                let line = Array((String(repeating: "x", count: length) + ending).utf8)
                return self.frames([line.prefix(cut), line.dropFirst(cut)], limit: 64)
            }
            #expect(frames(64) == [String(repeating: "x", count: 64)])
            #expect(frames(65) == ["overlong"])
            #expect(frames(1000) == ["overlong"])
        }
    }

    @Test func tellsOfAnOverlongLineOnceAndAtOnce() {
        var framer = LineFramer(limit: 4)
        framer.feed(Array("12345".utf8))
        #expect(framer.next() == .overlong)
        for _ in 0..<3 {
            framer.feed(Array("67890".utf8))
            #expect(framer.next() == nil)
            #expect(framer.isInsideLine)
        }
        framer.feed(Array("end\nok\n".utf8))
        #expect(framer.next() == .line(Array("ok".utf8)[...]))
        #expect(framer.next() == nil)
        #expect(framer.finish() == nil)
    }

    @Test func tellsWhetherALineHasBegun() {
        var framer = LineFramer()
        #expect(!framer.isInsideLine)
        framer.feed(Array("a\nb".utf8))
        #expect(framer.next() == .line(Array("a".utf8)[...]))
        #expect(framer.next() == nil)
        #expect(framer.isInsideLine)
        framer.feed(Array("\n".utf8))
        #expect(framer.next() == .line(Array("b".utf8)[...]))
        #expect(framer.next() == nil)
        #expect(!framer.isInsideLine)
    }

    @Test func takesALongLineByteByByteInLinearTime() {
        let limit = 1 << 18
        var framer = LineFramer(limit: limit)
        let byte: [UInt8] = [UInt8(ascii: "x")]
        let start = ContinuousClock.now
        for _ in 0..<limit {
            framer.feed(byte.span)
            guard framer.next() == nil else { return #expect(Bool(false)) }
        }
        // Searching the line again for each byte takes 3 * 10^10 steps.
        #expect(ContinuousClock.now - start < .seconds(30))
        framer.feed(Array("\n".utf8))
        guard case .line(let line) = framer.next() else { return #expect(Bool(false)) }
        #expect(line.count == limit)
    }
}
