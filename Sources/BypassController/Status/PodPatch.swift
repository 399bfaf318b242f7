internal import Kubernetes
internal import PodBypass
internal import StrictJSON

/// A change of what the controller writes on a pod.
struct PodPatch {
    private let pod: PodReference
    private let changes: JSONValue

    /// - Parameters:
    ///   - annotation: the status; nil removes it.
    ///   - version: the pod must not have changed since this resource version.
    init(_ pod: PodReference, annotation: String?, removesLabel: Bool, version: String? = nil) {
        self.pod = pod
        var metadata: [(String, JSONValue)] = [
            // A precondition: UIDs are immutable, so the API server refuses to patch another pod of that name.
            ("uid", .string(pod.uid)), ("annotations", [Annotations.status: annotation.map { .string($0) } ?? .null]),
        ]
        if let version { metadata.append(("resourceVersion", .string(version))) }
        if removesLabel { metadata.append(("labels", [BypassLabel.key: .null])) }
        changes = ["metadata": .object(JSONObject(uniqueMembers: metadata))]
    }

    /// - Returns: the pod's metadata afterwards; nil if the pod was deleted, even if another one has its name now.
    @discardableResult
    func apply(with client: APIClient) async throws(APIError) -> ObjectMeta? {
        do throws(APIError) {
            let changed = try await client.patch(
                "/api/v1/namespaces/\(pod.namespace)/pods/\(pod.name)", with: changes, retrying: .byCaller)
            return ObjectMeta(
                name: pod.name,
                resourceVersion: changed.object?["metadata"]?.object?["resourceVersion"]?.string)
        } catch {
            if error.isUIDMismatch { return nil }
            throw error
        }
    }
}

extension ObjectMeta {
    /// Versions of one kind of objects are ordered where they are numbers, as the API server's are.
    var version: Int? { resourceVersion.flatMap { Int($0) } }
}

extension PodPatch {
    /// Removes the statuses of a node's pods that nothing keeps true.
    ///
    /// - Parameter isStale: whether one is, given its pod. It is removed only if the pod has not changed since.
    /// - Throws: after the others have been tried, if the server refuses some.
    static func removeStatuses(
        on node: String, with client: APIClient, where isStale: (_ status: String, Pod) async -> Bool
    ) async throws(APIError) {
        let pods = ResourceWatch<Pod>(client, "/api/v1/pods", selectors: [("fieldSelector", "spec.nodeName=\(node)")])
        // What the server has cached is enough, and all that a thousand nodes should ask for at once: an older state of a pod
        // is not patched.
        var refusal: APIError?
        for pod in try await pods.list(notOlderThan: "0").items {
            guard let status = pod.metadata.annotations[Annotations.status], await isStale(status, pod) else {
                continue
            }
            do throws(APIError) {
                try await PodPatch(
                    PodReference(pod), annotation: nil, removesLabel: false, version: pod.metadata.resourceVersion
                ).apply(with: client)
            } catch {
                guard error.code != nil, error.retryAfter == nil else { throw error }
                refusal = refusal ?? error
            }
        }
        if let refusal { throw refusal }
    }
}
