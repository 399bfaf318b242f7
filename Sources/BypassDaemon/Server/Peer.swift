internal import Linux
internal import Synchronization

/// One client: who it is, taken once, when its connection was accepted.
final class Peer: Sendable {
    private enum Look {
        case pending(PeerProcess)
        case done(PeerProcess.Origin?)
    }

    let credentials: PeerCredentials
    private let state: Mutex<Look>

    /// - Parameter process: nil if nobody can look at it, as in tests.
    init(_ credentials: PeerCredentials, _ process: PeerProcess? = nil) {
        self.credentials = credentials
        state = Mutex(process.map(Look.pending) ?? .done(nil))
    }

    /// What process it is. nil if that had ended before anybody could look.
    var origin: PeerProcess.Origin? {
        state.withLock { state in
            switch state {
            case .done(let origin): return origin
            case .pending(let process):
                let origin = process.origin()
                state = .done(origin)
                return origin
            }
        }
    }

    /// Looks at the process now, and lets go of it.
    func look() {
        _ = origin
    }
}
