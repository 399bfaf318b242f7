import JSONRPC
import Linux
import Testing

@testable import BypassAPI
@testable import BypassDaemon

/// How a connection's protocol ends, without a socket.
@Suite struct ConnectionStateEndTests {
    private static let now = Instant(nanoseconds: 5_000_000_000)

    private func state(_ text: String) -> ConnectionState {
        var state = ConnectionState(limits: Limits(), at: Self.now)
        state.received(Array(text.utf8).span)
        return state
    }

    private static let reasons: [CloseReason] = [
        .shutdown, .noRoom(.connections, lingers: true), .noRoom(.connections, lingers: false), .unreachable,
        .limit(.events),
    ]

    @Test("Asked to end, an open connection begins nothing", arguments: reasons)
    func open(_ reason: CloseReason) {
        var state = state("a\n")
        state.close(for: reason)
        #expect(state.next(at: Self.now, isSubscribed: false) == .close(reason))
    }

    @Test("Asked to end, what was begun is executed, and what waits behind it is not begun", arguments: reasons)
    func executing(_ reason: CloseReason) {
        var state = state("a\nb\n")
        #expect(state.next(at: Self.now, isSubscribed: false) == .execute(Array("a".utf8)[...]))
        state.close(for: reason)
        state.lineExecuted(at: Self.now)
        #expect(state.next(at: Self.now, isSubscribed: false) == .close(reason))
    }

    @Test("The first reason of an end is the one that counts")
    func first() {
        var state = state("a\n")
        state.close(for: .limit(.events))
        state.close(for: .shutdown)
        state.received(Array("b\n".utf8).span)
        state.inputEnded()
        state.timedOut(at: Self.now + .seconds(10_000), isSubscribed: false)
        state.lineExecuted(at: Self.now)
        #expect(state.next(at: Self.now, isSubscribed: false) == .close(.limit(.events)))
    }

    @Test("A client that may be sending gets time to read the last line, and one that is gone gets none")
    func farewells() {
        for reason in [.shutdown, .limit(.line), .limit(.idleSeconds), .noRoom(.connections, lingers: true)]
            as [CloseReason]
        {
            #expect(reason.farewell == .linger)
        }
        for reason in [.inputEnded, .unreachable, .descriptors, .noRoom(.connections, lingers: false), .limit(.events)]
            as [CloseReason]
        {
            #expect(reason.farewell == .close)
        }
    }

    @Test("What the client has done wrong is reported to it")
    func reported() {
        let limits = Limits()
        #expect(ErrorObject(.limit(.line), limits) == ErrorObject(.line, limits))
        #expect(
            ErrorObject(.noRoom(.userConnections, lingers: true), limits) == ErrorObject(.userConnections, limits))
        #expect(ErrorObject(.descriptors, limits)?.code == -32600)
        for reason in [CloseReason.inputEnded, .shutdown, .unreachable] { #expect(ErrorObject(reason, limits) == nil) }
    }
}
