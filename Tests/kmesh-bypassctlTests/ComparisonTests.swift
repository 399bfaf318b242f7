import BypassAPI
import Console
import Testing

@testable import kmesh_bypassctl

@Suite struct ComparisonTests {
    private let style = Style(isColored: false, now: Timestamp(secondsSince1970: 0))

    @Test func `Median, p90 and p99 are of what was measured`() {
        #expect(TimeSummary([]) == nil)
        let one = TimeSummary([7])
        #expect(one?.median == 7 && one?.p90 == 7 && one?.p99 == 7)
        let hundred = TimeSummary((1...100).shuffled())
        #expect(hundred?.median == 50 && hundred?.p90 == 90 && hundred?.p99 == 99)
        let ten = TimeSummary([10, 9, 8, 7, 6, 5, 4, 3, 2, 1])
        #expect(ten?.median == 5 && ten?.p90 == 9 && ten?.p99 == 10)
    }

    /// Against tables of the binomial distribution.
    @Test func `The sign test is that of the textbooks`() {
        func close(_ value: Double, _ expected: Double) -> Bool { abs(value - expected) < 1e-6 }
        #expect(close(SignTest.probability(0, against: 0), 1))
        #expect(close(SignTest.probability(5, against: 5), 1))
        #expect(close(SignTest.probability(6, against: 0), 0.03125))
        #expect(close(SignTest.probability(1, against: 9), 0.021484375))
        #expect(close(SignTest.probability(12, against: 3), 0.0351562500))
        // As computed with fractions, by another program.
        for (wins, losses, expected) in [
            (45, 55, 0.36820161732669626), (520, 480, 0.21744829320414094), (4900, 5100, 0.04658552770494739),
        ] {
            #expect(close(SignTest.probability(wins, against: losses), expected), "\(wins) against \(losses)")
        }
        #expect(SignTest.probability(5000, against: 5000) == 1)
        #expect(SignTest.probability(6000, against: 4000) < 1e-80)
        // The ranks of 95 % intervals for the median, counted from 1 in the tables.
        for (count, rank) in [
            (5, nil), (6, 1), (8, 1), (9, 2), (20, 6), (50, 18), (100, 40), (200, 86), (1000, 469), (10000, 4902),
        ] as [(Int, Int?)] {
            #expect(SignTest.rank(of: count) == rank.map { $0 - 1 }, "\(count)")
        }
    }

    /// Of 400 comparisons of equal sides, at most about one in twenty shows a difference.
    @Test func `The interval is as sure as it says`() {
        var generator = SeededGenerator(state: 4711)
        var misses = 0
        for _ in 0..<400 {
            let differences = (0..<41).map { _ in
                // Skewed, as times are: the median is 0.
                let value = Int.random(in: -1000...1000, using: &generator)
                return value < 0 ? value : value * value
            }
            if PairedDifference(differences)?.interval?.contains(0) == false { misses += 1 }
        }
        #expect((2...30).contains(misses), "\(misses) of 400")
    }

    private struct SeededGenerator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var value = state
            value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
            value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
            return value ^ value >> 31
        }
    }

    private static func pairs(_ count: Int, failing: Int) -> [Comparison.Pair] {
        (0..<count).map { number in
            let through =
                number < failing
                ? RequestOutcome("503", nanoseconds: 900_000, isFailure: true)
                : RequestOutcome("200", nanoseconds: 2_310_000 + number * 1000, isFailure: false)
            return .init(through: through, past: .init("200", nanoseconds: 1_050_000, isFailure: false))
        }
    }

    @Test func `The text says what the sidecar adds, and what fails only through it`() {
        let text = Comparison(Self.pairs(100, failing: 12)).text(style)
        #expect(text.contains("through the sidecar  100       12"), "\(text)")
        #expect(text.contains("The sidecar adds 1.316 ms (95 % confidence: "), "\(text)")
        #expect(text.contains("88 pairs, p < 0.001"), "\(text)")
        #expect(
            text.contains("Failures: through the sidecar 503 in 12 of 100; past it 0 of 100."), "\(text)")
        #expect(text.contains("More requests fail through the sidecar (p < 0.001)."), "\(text)")
        #expect(text.contains("\nthrough ") && text.contains("\npast    █"), "\(text)")
    }

    @Test func `The text does not claim what the numbers do not show`() {
        let equal = (0..<20).map { number in
            Comparison.Pair(
                through: .init("connected", nanoseconds: 1000 + number % 2, isFailure: false),
                past: .init("connected", nanoseconds: 1000 + (number + 1) % 2, isFailure: false))
        }
        let text = Comparison(equal).text(style)
        #expect(text.contains("The times show no difference") && !text.contains("Failures"), "\(text)")
        #expect(Comparison(Self.pairs(5, failing: 0)).text(style).contains("5 pairs are too few"))
        #expect(Comparison(Self.pairs(1, failing: 0)).text(style).contains("1 pair is too few"))
        let faster = (0..<20).map { number in
            Comparison.Pair(
                through: .init("200", nanoseconds: 1_000_000 + number, isFailure: false),
                past: .init("200", nanoseconds: 3_000_000, isFailure: false))
        }
        let saving = "The sidecar saves 2.000 ms (95 % confidence: 2.000 ms to 2.000 ms; "
        #expect(Comparison(faster).text(style).contains(saving), "\(Comparison(faster).text(style))")
        let failed = Comparison(Self.pairs(3, failing: 3)).text(style)
        #expect(failed.contains("no times to compare") && failed.contains("does not show"), "\(failed)")
        #expect(Comparison([]).plot.isEmpty)
    }

    @Test(arguments: [
        (0, "0.000 ms"), (1_234, "0.001 ms"), (1_050_000, "1.050 ms"), (-12_345_678, "-12.3 ms"),
        (99_990_000, "100.0 ms"),
        (1_234_567_890, "1235 ms"),
    ])
    func `Times are shown in milliseconds`(_ nanoseconds: Int, _ text: String) {
        #expect(milliseconds(nanoseconds) == text)
    }

    @Test func `An outcome passes between the processes as a line`() {
        for outcome in [
            RequestOutcome("200", nanoseconds: 5, isFailure: false),
            RequestOutcome("closed without an answer", nanoseconds: 0, isFailure: true),
        ] {
            #expect(RequestOutcome(line: outcome.line) == outcome)
        }
        #expect(RequestOutcome(line: "nonsense") == nil)
    }

    @Test func `An answer of HTTP ends where it says, or with the connection`() {
        func answer(_ parts: String...) -> HTTPAnswer {
            var answer = HTTPAnswer()
            for part in parts { answer.append(Array(part.utf8)[...]) }
            return answer
        }
        let whole = answer("HTTP/1.1 200 OK\r\nContent-", "Length: 3\r\n\r", "\nabc")
        #expect(whole.status == 200 && whole.isComplete && whole.isWhole)
        let short = answer("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab")
        #expect(!short.isComplete && !short.isWhole)
        let endless = answer("HTTP/1.0 503 Busy\r\n\r\nabc")
        #expect(endless.status == 503 && !endless.isComplete && endless.isWhole)
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
        let chunks = answer(head, "4;x=y\r\nab\r\n\r", "\n0\r", "\nTrailer: 1\r\n\r\n")
        #expect(chunks.isComplete && chunks.isWhole)
        for part in ["4\r\nab\r\n\r\n", "4\r\nab\r\n\r\n0\r\n", "x\r\n0\r\n\r\n", "ffffffffff\r\n0\r\n\r\n"] {
            #expect(!answer(head, part).isWhole, "\(part)")
        }
        #expect(answer("HTTP/1.1 204 No\r\n\r\n").isComplete && answer("HTTP/1.1 304 Not\r\n\r\n").isComplete)
        let interim = answer("HTTP/1.1 100 Continue\r\n\r", "\nHTTP/1.1 500 Oh\r\nContent-Length: 1\r\n\r\nx")
        #expect(interim.status == 500 && interim.isComplete)
        #expect(
            answer("SSH-2.0\r\n").status == nil && answer().status == nil && answer("HTTP/1.1 99999 x").status == nil)
    }
}
