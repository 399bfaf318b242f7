package import BypassAPI
internal import BypassClient
internal import Synchronization

/// Watches the daemon: applies each change to a set, as any user of `BypassWatch` does, and records it.
package final class WatchRecorder: Sendable {
    /// What is known of a bypass, for comparing with what others report.
    package struct Known: Hashable, Sendable, CustomStringConvertible {
        package let inode: Int
        package let generation: Int
        package let state: String

        package init(_ bypass: BypassStatus) {
            (inode, generation, state) = (Int(bypass.inode), bypass.generation ?? -1, bypass.state.rawValue)
        }

        package init(_ answer: BypassAnswer) {
            (inode, generation, state) = (answer.inode, answer.generation, answer.state)
        }

        package var description: String { "\(state) \(inode) at \(generation)" }
    }

    package struct Change: Hashable, Sendable {
        package let name: String
        package let bypass: Known

        package init(name: String, bypass: Known) {
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
    package var set: [Known] { state.withLock { $0.set.values.map { Known($0) }.sorted { $0.inode < $1.inode } } }
    package var changes: [Change] { state.withLock(\.changes) }
    /// Ends that were reported of what was not bypassed.
    package var strayEnds: [Change] { state.withLock(\.strayEnds) }
    /// How often a snapshot came.
    package var snapshots: Int { state.withLock(\.snapshots) }
    package var resumptions: Int { state.withLock(\.resumptions) }

    private init() {}

    /// What the client library opens for the life of the process is opened by this, before descriptors are counted.
    package static func warmUp() async {
        _ = try? await BypassClient.connect(to: "/nowhere/to/be/found")
    }

    /// Watches for the time that `body` runs, which begins when the first snapshot is there.
    package static func with<Result>(_ path: String, _ body: (WatchRecorder) async throws -> Result) async throws
        -> Result
    {
        let recorder = WatchRecorder()
        return try await withThrowingTaskGroup { group in
            group.addTask { for await element in BypassWatch(path) { recorder.apply(element) } }
            try await eventually("there is a snapshot") { recorder.snapshots > 0 }
            let result = try await body(recorder)
            group.cancelAll()
            try await group.waitForAll()
            return result
        }
    }

    private func apply(_ element: BypassWatch.Element) {
        state.withLock { state in
            switch element {
            case .snapshot(let list):
                state.snapshots += 1
                state.set = Dictionary(uniqueKeysWithValues: list.bypasses.map { ($0.inode, $0) })
            case .change(let name, let event):
                let bypass = event.bypass
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
