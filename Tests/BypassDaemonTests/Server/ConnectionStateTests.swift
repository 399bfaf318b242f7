import Linux
import Testing

@testable import BypassAPI
@testable import BypassDaemon

/// A connection's protocol at given times, without a socket.
@Suite struct ConnectionStateTests {
    /// What a connection's thread does, with time that stands still.
    private struct Driver {
        var state: ConnectionState
        var now = Instant(nanoseconds: 5_000_000_000)
        var isSubscribed = false

        init(_ change: (inout Limits) -> Void = { _ in }) {
            var limits = Limits()
            change(&limits)
            state = ConnectionState(limits: limits, at: now)
        }

        mutating func receive(_ text: some StringProtocol) { state.received(Array(text.utf8).span) }

        mutating func next() -> ConnectionState.Action { state.next(at: now, isSubscribed: isSubscribed) }

        /// The line that has to be executed next; nil if there is none.
        mutating func nextLine() -> String? {
            guard case .execute(let line) = next() else { return nil }
            return String(decoding: line, as: UTF8.self)
        }

        /// Executes a line that takes no time.
        mutating func execute() -> String? {
            defer { state.lineExecuted(at: now) }
            return nextLine()
        }

        /// Waits for input that does not come.
        mutating func pass(_ seconds: Int) -> ConnectionState.Action {
            _ = next()
            now = now + .seconds(seconds)
            state.timedOut(at: now, isSubscribed: isSubscribed)
            return next()
        }

        var isOpen: Bool { if case .open = state { true } else { false } }
    }

    // MARK: lines

    @Test("A line is executed once it has ended, in whatever pieces it comes")
    func pieces() {
        var driver = Driver()
        for character in "{\"a\":1}\n" {
            #expect(driver.nextLine() == nil)
            driver.receive(String(character))
        }
        #expect(driver.nextLine() == "{\"a\":1}")
    }

    @Test("CRLF ends a line, and blank lines are charged and not executed")
    func lineEnds() {
        var driver = Driver()
        driver.receive("\n\r\n  \na\r\n\r\nb\n")
        for _ in 0..<3 { #expect(driver.next() == .chargeBlankLine) }
        #expect(driver.execute() == "a")
        #expect(driver.next() == .chargeBlankLine)
        #expect(driver.execute() == "b")
        #expect(driver.next() == .awaitInput(until: driver.now + .seconds(600)))
    }

    @Test("Lines are executed one at a time, and what comes meanwhile is not lost")
    func oneAtATime() {
        var driver = Driver()
        driver.receive("a\nb\nc")
        #expect(driver.execute() == "a")
        #expect(driver.execute() == "b")
        #expect(driver.nextLine() == nil)
        driver.receive("d\n")
        #expect(driver.execute() == "cd")
    }

    @Test(
        "The last line is executed though it lacks its LF, and then the connection ends", arguments: ["b", "b\n", ""])
    func lastLine(_ last: String) {
        var driver = Driver()
        driver.receive("a\n" + last)
        driver.state.inputEnded()
        #expect(driver.execute() == "a")
        if last != "" { #expect(driver.execute() == "b") }
        #expect(driver.next() == .close(.inputEnded))
        #expect(driver.next() == .close(.inputEnded))
    }

    @Test("A line of just the limit is taken, and a longer one ends the connection before it has ended")
    func longestLine() {
        var driver = Driver { $0.line = 10 }
        driver.receive("1234567890\n")
        #expect(driver.execute() == "1234567890")
        driver.receive("12345678901")
        #expect(driver.next() == .close(.limit(.line)))
        driver.receive("\na\n")
        #expect(driver.next() == .close(.limit(.line)), "nothing more is taken")
    }

    @Test("Lines before one that is too long are executed first")
    func linesBeforeALongOne() {
        var driver = Driver { $0.line = 10 }
        driver.receive("a\n12345678901")
        #expect(driver.execute() == "a")
        #expect(driver.next() == .close(.limit(.line)))
    }

    @Test("Many lines at once are executed one after the other")
    func many() {
        var driver = Driver()
        driver.receive((1...20_000).map { "\($0)\n" }.joined())
        for number in 1...20_000 { #expect(driver.execute() == "\(number)") }
        #expect(driver.nextLine() == nil)
    }

    // MARK: times

    @Test("A line that is begun has to end in time")
    func lineSeconds() {
        var driver = Driver()
        #expect(driver.pass(540) == .awaitInput(until: driver.now + .seconds(60)), "a client may be silent")
        driver.receive("{")
        #expect(driver.next() == .awaitInput(until: driver.now + .seconds(30)))
        #expect(driver.pass(29) == .awaitInput(until: driver.now + .seconds(1)))
        driver.receive("\"jsonrpc\"")
        #expect(driver.next() == .awaitInput(until: driver.now + .seconds(1)), "more of the line does not give it time")
        #expect(driver.pass(1) == .close(.limit(.lineSeconds)))
    }

    @Test("A client that always has a line under way is in time if each of its lines is")
    func busyLines() {
        var driver = Driver()
        driver.receive("{")
        for _ in 0..<10 {
            #expect(driver.pass(20) == .awaitInput(until: driver.now + .seconds(10)))
            driver.receive("}\n{")
            #expect(driver.execute() == "{}")
        }
    }

    @Test("A line that is begun while another is executed has to end, too, counted from the answer on")
    func lineBehindASlowOne() {
        var driver = Driver()
        driver.receive("a\n{")
        #expect(driver.nextLine() == "a")
        driver.now = driver.now + .seconds(20)
        driver.state.lineExecuted(at: driver.now)
        #expect(driver.pass(29) == .awaitInput(until: driver.now + .seconds(1)))
        #expect(driver.pass(1) == .close(.limit(.lineSeconds)))
    }

    @Test("A client that always has input does not get more time by it", arguments: ["\n", "x"])
    func constantInput(_ text: String) {
        var driver = Driver()
        for _ in 0..<700 {
            driver.receive(text)
            while driver.next() == .chargeBlankLine {}
            driver.now = driver.now + .seconds(1)
        }
        #expect(driver.next() == .close(.limit(text == "\n" ? .idleSeconds : .lineSeconds)))
    }

    @Test("A connection on which nothing is asked ends")
    func silent() {
        var driver = Driver()
        #expect(driver.pass(599) == .awaitInput(until: driver.now + .seconds(1)))
        #expect(driver.pass(1) == .close(.limit(.idleSeconds)))
    }

    @Test("The idle time begins with the last answer")
    func idleSinceAnswer() {
        var driver = Driver()
        for _ in 1...5 {
            #expect(driver.pass(500) == .awaitInput(until: driver.now + .seconds(100)))
            driver.receive("a\n")
            #expect(driver.execute() == "a")
        }
        #expect(driver.pass(599) == .awaitInput(until: driver.now + .seconds(1)))
        #expect(driver.pass(1) == .close(.limit(.idleSeconds)))
    }

    @Test("Blank lines ask nothing")
    func blank() {
        var driver = Driver()
        for _ in 1...5 {
            #expect(driver.pass(100) != .close(.limit(.idleSeconds)))
            driver.receive("\n")
            #expect(driver.next() == .chargeBlankLine)
        }
        #expect(driver.pass(100) == .close(.limit(.idleSeconds)))
    }

    @Test("Who waits for an answer is not idle, for however long")
    func waits() {
        var driver = Driver()
        driver.receive("a\n")
        #expect(driver.nextLine() == "a")
        driver.now = driver.now + .seconds(10_000)
        driver.state.lineExecuted(at: driver.now)
        #expect(driver.pass(599) == .awaitInput(until: driver.now + .seconds(1)))
        #expect(driver.pass(1) == .close(.limit(.idleSeconds)))
    }

    @Test("A subscriber may ask nothing, but a line that it begins has to end")
    func subscriber() {
        var driver = Driver()
        driver.isSubscribed = true
        #expect(driver.pass(10_000) == .awaitInput(until: nil))
        driver.receive("{")
        #expect(driver.pass(30) == .close(.limit(.lineSeconds)))
    }

    @Test("A wait that ends early changes nothing")
    func earlyEnd() {
        var driver = Driver()
        _ = driver.next()
        driver.state.timedOut(at: driver.now, isSubscribed: false)
        #expect(driver.isOpen)
    }
}
