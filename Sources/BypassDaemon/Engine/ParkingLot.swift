internal import Linux
internal import NIOCore
internal import Synchronization

/// Where sockets wait to be closed, so that nobody waits for that.
///
/// A deleted rule costs the next `close` of a socket of its namespace an RCU grace period, up to 24 ms; after some time
/// the period is over anyway. Until then the socket keeps the namespace alive.
final class ParkingLot: Sendable {
    private struct State {
        var parked: [(until: NIODeadline, socket: SharedDescriptor)] = []
        var isAttended = false
    }

    private let state = Mutex(State())
    private let loop: any EventLoop
    private static let time = TimeAmount.milliseconds(50)

    init(on loop: any EventLoop) {
        self.loop = loop
    }

    func park(_ socket: SharedDescriptor) {
        let until = NIODeadline.now() + Self.time
        let isAttended = state.withLock { state in
            state.parked.append((until, socket))
            defer { state.isAttended = true }
            return state.isAttended
        }
        // One alarm for all that are parked meanwhile: waking a thread for each would cost more than closing.
        if !isAttended { loop.scheduleTask(deadline: until) { self.attend() } }
    }

    /// Lets go of those whose time has come.
    private func attend() {
        let now = NIODeadline.now()
        let (leaving, next) = state.withLock { state in
            let staying = state.parked.firstIndex { $0.until > now } ?? state.parked.count
            let leaving = Array(state.parked[..<staying])
            state.parked.removeFirst(staying)
            state.isAttended = !state.parked.isEmpty
            // The last one's time is also that of all before it.
            return (leaving, state.parked.last?.until)
        }
        if let next { loop.scheduleTask(deadline: next) { self.attend() } }
        withExtendedLifetime(leaving) {}
    }
}
