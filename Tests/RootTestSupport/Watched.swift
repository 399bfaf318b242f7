public import BypassAPI
internal import BypassClient
internal import Synchronization

/// Somebody who watches: applies what is told to a set, as any user of `BypassWatch` does, and remembers it.
public final class Watched: Sendable {
    /// What is known of a bypass, for comparing with what others are told.
    public struct Known: Hashable, Sendable, CustomStringConvertible {
        public let inode: Int
        public let generation: Int
        public let state: String

        public init(_ bypass: BypassStatus) {
            (inode, generation, state) = (Int(bypass.inode), bypass.generation ?? -1, bypass.state.rawValue)
        }

        public init(_ answer: BypassAnswer) {
            (inode, generation, state) = (answer.inode, answer.generation, answer.state)
        }

        public var description: String { "\(state) \(inode) at \(generation)" }
    }

    public struct Change: Hashable, Sendable {
        public let name: String
        public let bypass: Known

        public init(name: String, bypass: Known) {
            self.name = name
            self.bypass = bypass
        }
    }

    private struct State {
        var set: [UInt64: BypassStatus] = [:]
        var changes: [Change] = []
        var strayEnds: [Change] = []
        var snapshots = 0
        var resumptions = 0
    }

    private let state = Mutex(State())

    /// By inode.
    public var set: [Known] { state.withLock { $0.set.values.map { Known($0) }.sorted { $0.inode < $1.inode } } }
    public var changes: [Change] { state.withLock(\.changes) }
    /// Ends that were told of what was not bypassed.
    public var strayEnds: [Change] { state.withLock(\.strayEnds) }
    /// How often all that is bypassed was told.
    public var snapshots: Int { state.withLock(\.snapshots) }
    public var resumptions: Int { state.withLock(\.resumptions) }

    private init() {}

    /// What the client library opens for the life of the process is opened by this, before descriptors are counted.
    public static func warmUp() async {
        _ = try? await BypassClient.connect(to: "/nowhere/to/be/found")
    }

    /// Watches for the time that `body` runs, which begins when the first snapshot is there.
    public static func with<Result>(_ path: String, _ body: (Watched) async throws -> Result) async throws -> Result {
        let watched = Watched()
        return try await withThrowingTaskGroup { group in
            group.addTask { for await element in BypassWatch(path) { watched.apply(element) } }
            try await eventually("there is a snapshot") { watched.snapshots > 0 }
            let result = try await body(watched)
            group.cancelAll()
            try await group.waitForAll()
            return result
        }
    }

    private func apply(_ element: BypassWatch.Element) {
        state.withLock { state in
            switch element {
            case .snapshot(let bypasses):
                state.snapshots += 1
                state.set = Dictionary(uniqueKeysWithValues: bypasses.map { ($0.inode, $0) })
            case .change(let name, let bypass):
                let change = Change(name: name.rawValue, bypass: Known(bypass))
                state.changes.append(change)
                if !name.leavesBypass && state.set[bypass.inode] == nil { state.strayEnds.append(change) }
                state.set[bypass.inode] = name.leavesBypass ? bypass : nil
            case .resumed: state.resumptions += 1
            case .disconnected: break
            }
        }
    }
}
