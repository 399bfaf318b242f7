internal import BypassAPI
internal import NIOCore
internal import Synchronization

/// The connections that are open, by user: what limits are counted on, and who is told of the end.
final class Connections: Sendable {
    private struct State {
        var channels: [ObjectIdentifier: any Channel] = [:]
        var byUser: [UInt32: Int] = [:]
    }

    private let state = Mutex(State())
    private let limits: Limits

    init(limits: Limits) {
        self.limits = limits
    }

    /// Counts a connection in, or names the limit that it would go beyond.
    func add(_ channel: any Channel, user: UInt32) -> Limits.Name? {
        state.withLock { state in
            if state.channels.count >= limits.connections { return .connections }
            if state.byUser[user, default: 0] >= limits.userConnections { return .userConnections }
            state.channels[ObjectIdentifier(channel)] = channel
            state.byUser[user, default: 0] += 1
            return nil
        }
    }

    /// Counts a connection out that was counted in.
    func remove(_ channel: any Channel, user: UInt32) {
        state.withLock { state in
            guard state.channels.removeValue(forKey: ObjectIdentifier(channel)) != nil else { return }
            let left = state.byUser[user, default: 1] - 1
            state.byUser[user] = left > 0 ? left : nil
        }
    }

    /// Asks every connection to answer what was begun, and to end.
    func finish() {
        for channel in all { channel.pipeline.fireUserInboundEventTriggered(ConnectionHandler.Finish()) }
    }

    var all: [any Channel] { state.withLock { Array($0.channels.values) } }
}
