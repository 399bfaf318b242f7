internal import BypassAPI
internal import Kubernetes
internal import Linux
internal import StrictJSON

/// Writes Events about pods, as client-go's recorder does: the same Event again counts up the one that is there, and one
/// pod cannot fill the cluster with them.
actor EventRecorder {
    private struct Key: Hashable {
        var uid: String
        var event: PodState.Event
    }

    private struct Written {
        var name: String
        var count: Int
    }

    /// A pod may have 25 Events at once, and then one in five minutes (client-go's spam filter).
    private struct Allowance {
        static let most = 25.0
        static let secondsForOne = 300.0

        var left = most
        var at: Timestamp

        mutating func take(at now: Timestamp) -> Bool {
            let passed = Double(max(now.secondsSince1970 - at.secondsSince1970, 0))
            left = min(left + passed / Self.secondsForOne, Self.most)
            at = now
            guard left >= 1 else { return false }
            left -= 1
            return true
        }
    }

    private let client: APIClient
    private let node: String
    private var written: [Key: Written] = [:]
    private var allowances: [String: Allowance] = [:]

    static let component = "kmesh-bypass-controller"
    /// As many as client-go remembers; then all are forgotten.
    private static let most = 4096

    init(_ client: APIClient, node: String) {
        self.client = client
        self.node = node
    }

    /// Tells an Event about a pod. One that cannot be written is lost.
    func tell(_ event: PodState.Event, about pod: PodName) async throws(APIError) {
        let now = Timestamp.now
        if allowances.count >= Self.most { allowances = [:] }
        guard allowances[pod.uid, default: Allowance(at: now)].take(at: now) else { return }
        let key = Key(uid: pod.uid, event: event)
        if var known = written[key] {
            known.count += 1
            written[key] = known
            do throws(APIError) {
                return try await countUp(known, in: pod.namespace, at: now)
            } catch {
                // An hour is over, and the API server has forgotten it.
                guard error.code == 404 else { throw error }
            }
        }
        try await write(key, about: pod, at: now)
    }

    private func countUp(_ known: Written, in namespace: String, at now: Timestamp) async throws(APIError) {
        _ = try await client.patch(
            Self.path(namespace) + "/" + known.name,
            with: ["count": .number(JSONNumber(known.count)), "lastTimestamp": .string(now.description)])
    }

    private func write(_ key: Key, about pod: PodName, at now: Timestamp) async throws(APIError) {
        if written.count >= Self.most { written = [:] }
        // Names must be unique for as long as the API server keeps Events: client-go takes the time as well.
        let number = String(UInt64(bitPattern: WallClock.now) &+ UInt64(written.count), radix: 16)
        let name = pod.name.prefix(230) + "." + number
        written[key] = Written(name: name, count: 1)
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
                // The API server takes 1024 characters.
                "message": .string(String(key.event.message.prefix(1000))), "count": 1,
                "firstTimestamp": time, "lastTimestamp": time,
                "source": ["component": .string(Self.component), "host": .string(node)],
                "reportingComponent": .string(Self.component), "reportingInstance": .string(node),
            ], in: Self.path(pod.namespace))
    }

    private static func path(_ namespace: String) -> String { "/api/v1/namespaces/\(namespace)/events" }
}

extension Timestamp {
    static var now: Timestamp { Timestamp(secondsSince1970: WallClock.now / 1_000_000_000) }
}
