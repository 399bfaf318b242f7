import StrictJSON
import Synchronization

/// What the API server keeps: objects, and what became of them, by resource version.
final class ObjectStore: Sendable {
    struct Key: Hashable, Sendable {
        /// Such as `/api/v1/pods`: of all namespaces.
        var collection: String
        var namespace: String
        var name: String
    }

    /// One change. `before` and `after` are nil where there was, or is, no object.
    struct Change: Sendable {
        var version: Int
        var key: Key
        var before: JSONValue?
        var after: JSONValue?
    }

    private struct State {
        var version = 1000
        var objects: [Key: JSONValue] = [:]
        var log: [Change] = []
        /// Changes up to this one are forgotten, as etcd compacts.
        var compacted = 1000
        var made = 0
        var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
        var lastWaiter = 0
    }

    private let state = Mutex(State())

    var version: Int { state.withLock(\.version) }

    subscript(key: Key) -> JSONValue? { state.withLock { $0.objects[key] } }

    /// In the order of their names, and the version at which that is so.
    func objects(of collection: String) -> (objects: [JSONValue], version: Int) {
        state.withLock { state in
            let found = state.objects.filter { $0.key.collection == collection }
                .sorted { ($0.key.namespace, $0.key.name) < ($1.key.namespace, $1.key.name) }
            return (found.map(\.value), state.version)
        }
    }

    /// What has happened in one collection since a version, and up to which; nil if that version is forgotten.
    func changes(of collection: String, after version: Int) -> (changes: [Change], version: Int)? {
        state.withLock { state in
            guard version >= state.compacted else { return nil }
            // What came last is wanted nearly always.
            var found: [Change] = []
            for change in state.log.reversed() {
                if change.version <= version { break }
                if change.key.collection == collection { found.append(change) }
            }
            return (found.reversed(), state.version)
        }
    }

    /// Forgets all changes up to now.
    func compact() {
        state.withLock { state in
            state.compacted = state.version
            state.log = []
        }
    }

    /// Makes an object of what there is; nothing happens if that gives what there is already.
    ///
    /// - Returns: the object as it is then.
    @discardableResult
    func change(_ key: Key, _ body: (JSONValue?) -> JSONValue?) -> JSONValue? {
        let (result, waiters) = state.withLock { state -> (JSONValue?, [CheckedContinuation<Void, Never>]) in
            let before = state.objects[key]
            var after = body(before)
            if after == before { return (before, []) }
            state.version += 1
            if before == nil { state.made += 1 }
            after = after.map { Self.stamped($0, key, version: state.version, number: state.made) }
            let last = before?.setting(
                "metadata", before?["metadata"]?.setting("resourceVersion", .string("\(state.version)")))
            state.objects[key] = after
            state.log.append(
                Change(version: state.version, key: key, before: after == nil ? last : before, after: after))
            defer { state.waiters = [:] }
            return (after, Array(state.waiters.values))
        }
        for waiter in waiters { waiter.resume() }
        return result
    }

    private static func stamped(_ object: JSONValue, _ key: Key, version: Int, number: Int) -> JSONValue {
        var metadata = object["metadata"] ?? [:]
        metadata = metadata.setting("name", .string(key.name)).setting("namespace", .string(key.namespace))
        metadata = metadata.setting("resourceVersion", .string("\(version)"))
        if metadata["uid"] == nil {
            metadata = metadata.setting(
                "uid", .string("00000000-0000-4000-8000-\(1_000_000_000_000 + number)".lowercased()))
        }
        if metadata["creationTimestamp"] == nil {
            metadata = metadata.setting("creationTimestamp", "2026-01-01T00:00:00Z")
        }
        return object.setting("metadata", metadata)
    }

    /// Waits for the first change after a version, or the end of the task.
    func waitForChange(after version: Int) async {
        let id = state.withLock { state in
            state.lastWaiter += 1
            return state.lastWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if state.version > version || Task.isCancelled { return true }
                    state.waiters[id] = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume()
        }
    }
}
