internal import BypassAPI
internal import Kubernetes
internal import Linux
internal import PodBypass
internal import StrictJSON

/// Writes Events about pods as client-go's recorder does: a repeated Event increments the count of the existing one, and a
/// rate limit keeps one pod from filling the cluster with Events.
actor EventRecorder {
    private struct Key: Hashable {
        var uid: String
        var event: BypassCondition.Event
    }

    private struct Recorded {
        var name: String
        var count: Int
    }

    /// client-go's spam filter: a pod may have 25 Events at once, and then one in five minutes.
    private struct TokenBucket {
        static let refillSeconds = 300.0

        var tokens = Double(burst)
        var lastRefill: Timestamp

        mutating func takeToken(at now: Timestamp) -> Bool {
            let elapsed = Double(max(now.secondsSince1970 - lastRefill.secondsSince1970, 0))
            tokens = min(tokens + elapsed / Self.refillSeconds, Double(burst))
            lastRefill = now
            guard tokens >= 1 else { return false }
            tokens -= 1
            return true
        }
    }

    private let client: APIClient
    private let node: String
    private var recorded: [Key: Recorded] = [:]
    /// By the pod's UID.
    private var buckets: [String: TokenBucket] = [:]

    /// The number of Events that a pod may have at once.
    static let burst = 25
    static let component = "kmesh-bypass-controller"
    /// As many as client-go's cache has; a full cache is emptied.
    private static let maxEntries = 4096

    init(_ client: APIClient, node: String) {
        self.client = client
        self.node = node
    }

    /// Records an Event about a pod, unless the pod has exceeded its rate.
    func record(_ event: BypassCondition.Event, about pod: PodReference) async throws(APIError) {
        let now = Timestamp.now
        if buckets.count >= Self.maxEntries { buckets = [:] }
        guard buckets[pod.uid, default: TokenBucket(lastRefill: now)].takeToken(at: now) else { return }
        let key = Key(uid: pod.uid, event: event)
        if var known = recorded[key] {
            known.count += 1
            recorded[key] = known
            do throws(APIError) {
                return try await setCount(known, in: pod.namespace, at: now)
            } catch {
                // The API server deletes Events after an hour.
                guard error.code == 404 else { throw error }
            }
        }
        try await create(key, about: pod, at: now)
    }

    private func setCount(_ known: Recorded, in namespace: String, at now: Timestamp) async throws(APIError) {
        _ = try await client.patch(
            Self.path(namespace) + "/" + known.name,
            with: ["count": .number(JSONNumber(known.count)), "lastTimestamp": .string(now.description)])
    }

    private func create(_ key: Key, about pod: PodReference, at now: Timestamp) async throws(APIError) {
        if recorded.count >= Self.maxEntries { recorded = [:] }
        // Names must be unique for as long as the API server keeps Events: client-go uses the time as well.
        let suffix = String(UInt64(bitPattern: WallClock.now) &+ UInt64(recorded.count), radix: 16)
        let name = pod.name.truncated(toBytes: 230) + "." + suffix
        recorded[key] = Recorded(name: name, count: 1)
        let time = JSONValue.string(now.description)
        _ = try await client.create(
            [
                "apiVersion": "v1", "kind": "Event",
                "metadata": ["name": .string(name), "namespace": .string(pod.namespace)],
                "involvedObject": [
                    "apiVersion": "v1", "kind": "Pod", "namespace": .string(pod.namespace), "name": .string(pod.name),
                    "uid": .string(pod.uid),
                ],
                "type": key.event.isWarning ? "Warning" : "Normal", "reason": .string(key.event.reason),
                // The API server's limit, in bytes.
                "message": .string(key.event.message.truncated(toBytes: 1024)), "count": 1,
                "firstTimestamp": time, "lastTimestamp": time,
                "source": ["component": .string(Self.component), "host": .string(node)],
                "reportingComponent": .string(Self.component), "reportingInstance": .string(node),
            ], in: Self.path(pod.namespace))
    }

    private static func path(_ namespace: String) -> String { "/api/v1/namespaces/\(namespace)/events" }
}
