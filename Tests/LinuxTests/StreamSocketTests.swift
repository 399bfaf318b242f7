import Glibc
import Testing

@testable import Linux

@Suite struct StreamSocketTests {
    /// A socket that the calling thread serves, and its peer's end.
    private final class Pair: Sendable {
        let socket: StreamSocket
        let peer: SharedDescriptor
        let thread = WakeableThread()

        init() throws {
            var ends: [CInt] = [-1, -1]
            try systemCall("socketpair") {
                unsafe socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0, &ends)
            }
            socket = StreamSocket(OwnedDescriptor(adopting: ends[0]))
            peer = SharedDescriptor(OwnedDescriptor(adopting: ends[1]))
            thread.begin()
        }

        deinit { thread.end() }

        func say(_ text: String) {
            _ = unsafe Glibc.send(peer.descriptor.rawValue, text, text.utf8.count, CInt(MSG_NOSIGNAL))
        }

        /// At most four bytes; nil if nothing is there, or nothing will be.
        func receive() -> String? {
            var text: String?
            let received = socket.receive(atMost: 4) { bytes in
                text = String(decoding: bytes.indices.map { bytes[$0] }, as: UTF8.self)
            }
            #expect(received == text.map { .bytes($0.utf8.count) } ?? received)
            return text
        }

        /// The peer goes away.
        func endPeer() { shutdown(peer.descriptor.rawValue, CInt(SHUT_RDWR)) }

        func wait(_ direction: StreamSocket.Direction = .input, milliseconds: Int? = 20_000) -> StreamSocket.Readiness {
            socket.wait(for: direction, until: milliseconds.map { .now + .milliseconds($0) }, on: thread)
        }
    }

    @Test("Nothing but wait waits")
    func receive() throws {
        let pair = try Pair()
        #expect(pair.socket.receive(atMost: 4, { _ in }) == .nothing)
        pair.say("hello")
        #expect(pair.wait() == .ready)
        #expect(pair.receive() == "hell")
        #expect(pair.receive() == "o")
        #expect(pair.socket.receive(atMost: 4, { _ in }) == .nothing)
        pair.endPeer()
        #expect(pair.wait() == .ready)
        #expect(pair.socket.receive(atMost: 4, { _ in }) == .endOfStream)
    }

    @Test("What the peer has no room for is not sent, and a peer that is gone causes no signal")
    func send() throws {
        let pair = try Pair()
        let bytes = [UInt8](repeating: 7, count: 10_000_000)
        let sent = pair.socket.send(bytes[...]) ?? 0
        #expect(sent > 0 && sent < bytes.count)
        #expect(pair.socket.send(bytes[...]) == 0)
        #expect(pair.wait(.output, milliseconds: 10) == .timedOut)
        pair.endPeer()
        #expect(pair.wait(.output) == .ready)
        #expect(pair.socket.send(bytes[...]) == nil)
    }

    @Test("A wait ends at its deadline, and not before", arguments: [.input, .hangUp] as [StreamSocket.Direction])
    func deadline(_ direction: StreamSocket.Direction) throws {
        let pair = try Pair()
        let began = Instant.now
        #expect(pair.wait(direction, milliseconds: 30) == .timedOut)
        #expect(Instant.now - began >= .milliseconds(30))
        #expect(pair.socket.wait(for: direction, until: began, on: pair.thread) == .timedOut, "in the past")
    }

    @Test("Another thread ends a wait, however it waits", arguments: [.input, .hangUp] as [StreamSocket.Direction])
    func wakeUp(_ direction: StreamSocket.Direction) throws {
        let pair = try Pair()
        for _ in 0..<100 {
            try Thread.start("test") { pair.thread.wake() }
            #expect(pair.wait(direction, milliseconds: nil) == .woken)
        }
        #expect(pair.wait(direction, milliseconds: 0) == .timedOut, "it is cleared")
    }

    @Test("Signals before a wait end it at once, and count as one")
    func earlyWakeUp() throws {
        let pair = try Pair()
        for _ in 0..<3 { pair.thread.wake() }
        #expect(pair.wait() == .woken)
        #expect(pair.wait(milliseconds: 0) == .timedOut)
    }

    @Test("Input does not make a wait forget that the thread was woken")
    func inputFirst() throws {
        let pair = try Pair()
        pair.thread.wake()
        pair.say("x")
        #expect(pair.wait() == .ready)
        #expect(pair.receive() == "x")
        #expect(pair.wait() == .woken)
    }

    @Test("For the peer's going away, neither its bytes nor the end of its output count")
    func hangUp() throws {
        let pair = try Pair()
        pair.say("x")
        shutdown(pair.peer.descriptor.rawValue, CInt(SHUT_WR))
        #expect(pair.wait(.hangUp, milliseconds: 10) == .timedOut)
        pair.endPeer()
        #expect(pair.wait(.hangUp) == .ready)
    }

    @Test("At the end of the output the peer reads what was sent, and then the end")
    func shutDownWriting() throws {
        let pair = try Pair()
        #expect(pair.socket.send(Array("bye".utf8)[...]) == 3)
        pair.socket.shutDownWriting()
        var buffer = [UInt8](repeating: 0, count: 10)
        #expect(unsafe recv(pair.peer.descriptor.rawValue, &buffer, 10, 0) == 3)
        #expect(unsafe recv(pair.peer.descriptor.rawValue, &buffer, 10, 0) == 0)
    }

    @Test(
        "A closed socket is gone, and its peer reads the end; what is too much to look through is left to be closed",
        arguments: [(0, false), (100, false), (1024, false), (1025, true), (50_000, true)])
    func discard(_ unread: Int, _ isLeft: Bool) throws {
        var ends: [CInt] = [-1, -1]
        try systemCall("socketpair") {
            unsafe socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0, &ends)
        }
        let peer = OwnedDescriptor(adopting: ends[1])
        let socket = StreamSocket(OwnedDescriptor(adopting: ends[0]))
        let bytes = [UInt8](repeating: 7, count: unread)
        #expect(unsafe Glibc.send(peer.rawValue, bytes, unread, CInt(MSG_NOSIGNAL)) == unread)
        #expect(socket.send(Array("bye".utf8)[...]) == 3)
        let left = socket.discard()
        #expect((left != nil) == isLeft)
        var buffer = [UInt8](repeating: 0, count: 10)
        #expect(unsafe recv(peer.rawValue, &buffer, 10, 0) == 3)
        #expect(unsafe recv(peer.rawValue, &buffer, 10, 0) == 0)
        #expect(unsafe Glibc.send(peer.rawValue, bytes, 1, CInt(MSG_NOSIGNAL)) == -1, "nothing arrives any more")
        if let left { #expect(fcntl(left.rawValue, F_GETFD) >= 0) }
    }
}

@Suite struct DeferredCloserTests {
    /// A pipe's writing end, and a question to its reading end: whether the writing end is closed.
    private func pipe() throws -> (writing: SharedDescriptor, reading: SharedDescriptor) {
        var ends: [CInt] = [-1, -1]
        try systemCall("pipe") { unsafe Glibc.pipe(&ends) }
        return (
            SharedDescriptor(OwnedDescriptor(adopting: ends[1])), SharedDescriptor(OwnedDescriptor(adopting: ends[0]))
        )
    }

    private func waitForEnd(_ reading: SharedDescriptor, milliseconds: CInt) -> Bool {
        var question = pollfd(fd: reading.descriptor.rawValue, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&question, 1, milliseconds) == 1 && question.revents & Int16(POLLHUP) != 0
    }

    @Test("Each descriptor is closed after its time, and not at once")
    func closing() throws {
        let closer = try DeferredCloser()
        for _ in 0..<3 {
            let began = Instant.now
            let reading = try add(to: closer)
            #expect(waitForEnd(reading, milliseconds: 20_000))
            #expect(Instant.now - began >= .milliseconds(50))
        }
        closer.stop()
    }

    @Test("Descriptors that come one after the other are all closed")
    func many() throws {
        let closer = try DeferredCloser()
        let all = try (0..<50).map { _ in
            usleep(1000)
            return try add(to: closer)
        }
        for reading in all { #expect(waitForEnd(reading, milliseconds: 20_000)) }
        closer.stop()
    }

    @Test("At its end it closes all that waits, at once")
    func stop() throws {
        let closer = try DeferredCloser()
        let all = try (0..<5).map { _ in try add(to: closer) }
        closer.stop()
        for reading in all { #expect(waitForEnd(reading, milliseconds: 0)) }
    }

    @Test("A file that takes long to close does not hold up add()")
    func slow() throws {
        /// Is released only once the test allows it.
        final class File: Sendable {
            private let (isClosing, mayEnd): (Monitor<Bool>, Monitor<Bool>)

            init(_ isClosing: Monitor<Bool>, _ mayEnd: Monitor<Bool>) {
                (self.isClosing, self.mayEnd) = (isClosing, mayEnd)
            }

            deinit {
                isClosing.update { $0 = true }
                mayEnd.wait(until: .now + .seconds(10)) { $0 ? () : nil }
            }
        }
        let closer = try DeferredCloser()
        let (isClosing, mayEnd) = (Monitor(false), Monitor(false))
        closer.add(File(isClosing, mayEnd))
        isClosing.wait { $0 ? () : nil }
        let began = Instant.now
        let reading = try add(to: closer)
        #expect(Instant.now - began < .seconds(5))
        mayEnd.update { $0 = true }
        #expect(waitForEnd(reading, milliseconds: 20_000))
        closer.stop()
    }

    @Test("Work runs after its delay, or when the closer stops, and knows which")
    func work() throws {
        let closer = try DeferredCloser()
        let done = Monitor<[Bool]>([])
        let began = Instant.now
        closer.add(after: .milliseconds(50)) { isStopping in done.update { $0.append(isStopping) } }
        done.wait { $0.isEmpty ? nil : () }
        #expect(Instant.now - began >= .milliseconds(50))
        closer.add(after: .seconds(60)) { isStopping in done.update { $0.append(isStopping) } }
        closer.stop()
        #expect(done.withLock(\.self) == [false, true])
    }

    private func add(to closer: DeferredCloser) throws -> SharedDescriptor {
        let (writing, reading) = try pipe()
        closer.add(writing)
        return reading
    }
}
