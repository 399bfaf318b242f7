import StrictJSON
import Synchronization

/// The API server's objects, and their history by resource version.
final class ObjectStore: Sendable {
    struct Key: Hashable, Sendable {
        /// Such as `/api/v1/pods`, for all namespaces.
        var collection: String
        var namespace: String
        var name: String
    }

    /// One change. `before` is nil for a new object, `after` for a deleted one.
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
        /// Changes up to this version were compacted.
        var compacted = 1000
        var created = 0
        var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
        var lastWaiter = 0

        func objects(at version: Int) -> [Key: JSONValue]? {
            guard (compacted...self.version).contains(version) else { return nil }
            var objects = objects
            for change in log.reversed() {
                if change.version <= version { break }
                objects[change.key] = change.before
            }
            return objects
        }
    }

    private let state = Mutex(State())

    var version: Int { state.withLock(\.version) }

    subscript(key: Key) -> JSONValue? { state.withLock { $0.objects[key] } }

    /// In the order of their names, as they were at a version, or are now; nil if that was compacted, or is still to come.
    func objects(of collection: String, at version: Int? = nil) -> (objects: [JSONValue], version: Int)? {
        state.withLock { state in
            let version = version ?? state.version
            guard let objects = state.objects(at: version) else { return nil }
            let found = objects.filter { $0.key.collection == collection }
                .sorted { ($0.key.namespace, $0.key.name) < ($1.key.namespace, $1.key.name) }
            return (found.map(\.value), version)
        }
    }

    /// Goes back to the state of an earlier version, which the next change counts on from, as etcd does when a backup is
    /// restored.
    func restore(_ version: Int) {
        state.withLock { state in
            guard let objects = state.objects(at: version) else { return }
            state.objects = objects
            state.log.removeAll { $0.version > version }
            state.version = version
        }
    }

    /// The changes of one collection since a version, and the version that they lead to; nil if they were compacted.
    func changes(of collection: String, after version: Int) -> (changes: [Change], version: Int)? {
        state.withLock { state in
            guard version >= state.compacted else { return nil }
            // Nearly always only the last changes are needed.
            var found: [Change] = []
            for change in state.log.reversed() {
                if change.version <= version { break }
                if change.key.collection == collection { found.append(change) }
            }
            return (found.reversed(), state.version)
        }
    }

    /// Drops the history.
    func compact() {
        state.withLock { state in
            state.compacted = state.version
            state.log = []
        }
    }

    /// Creates, changes or deletes an object; a result that equals the present object changes nothing.
    ///
    /// - Returns: the object afterwards.
    @discardableResult
    func change(_ key: Key, _ body: (JSONValue?) -> JSONValue?) -> JSONValue? {
        let (result, waiters) = state.withLock { state -> (JSONValue?, [CheckedContinuation<Void, Never>]) in
            let before = state.objects[key]
            var after = body(before)
            if after == before { return (before, []) }
            state.version += 1
            if before == nil { state.created += 1 }
            after = after.map { Self.stamped($0, key, version: state.version, number: state.created) }
            state.objects[key] = after
            state.log.append(Change(version: state.version, key: key, before: before, after: after))
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

    /// Waits for the first change after a version, or until the task is cancelled.
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
