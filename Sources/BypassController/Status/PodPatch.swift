internal import Kubernetes
internal import StrictJSON

/// A change of what the controller writes on a pod.
struct PodPatch {
    private let pod: PodReference
    private let changes: JSONValue

    /// - Parameter annotation: the status; nil removes it.
    init(_ pod: PodReference, annotation: String?, removesLabel: Bool) {
        self.pod = pod
        var metadata: [(String, JSONValue)] = [
            // A precondition: UIDs are immutable, so the API server refuses to patch another pod of that name.
            ("uid", .string(pod.uid)), ("annotations", [Annotations.status: annotation.map { .string($0) } ?? .null]),
        ]
        if removesLabel { metadata.append(("labels", [BypassLabel.key: .null])) }
        changes = ["metadata": .object(JSONObject(uniqueMembers: metadata))]
    }

    /// - Returns: false if the pod was deleted, even if another one has its name now.
    @discardableResult
    func apply(with client: APIClient) async throws(APIError) -> Bool {
        do throws(APIError) {
            _ = try await client.patch(
                "/api/v1/namespaces/\(pod.namespace)/pods/\(pod.name)", with: changes, retrying: .byCaller)
            return true
        } catch {
            if error.isUIDMismatch { return false }
            throw error
        }
    }
}

extension PodPatch {
    /// Removes the status from every pod of a node, that of an expired bypass, too: without a controller nothing keeps it
    /// true.
    static func removeStatuses(on node: String, with client: APIClient) async throws(APIError) {
        let pods = ResourceWatch<Pod>(client, "/api/v1/pods", selectors: [("fieldSelector", "spec.nodeName=\(node)")])
        for pod in try await pods.list(notOlderThan: nil).items
        where pod.metadata.annotations[Annotations.status] != nil {
            try await PodPatch(PodReference(pod), annotation: nil, removesLabel: false).apply(with: client)
        }
    }
}

extension APIError {
    /// Whether a patch with a UID was refused because that object does not exist, even if another one has its name now. The
    /// API server reports a UID that does not match as invalid (422), like what an admission policy denies, and names the
    /// field. Implementations that report a conflict (409) name the UID; other conflicts are transient.
    fileprivate var isUIDMismatch: Bool {
        guard case .refused(let status) = self else { return false }
        return switch status.code {
        case 404: true
        case 422: status.causes.contains("metadata.uid")
        case 409: status.message.lowercased().contains("uid")
        default: false
        }
    }
}
