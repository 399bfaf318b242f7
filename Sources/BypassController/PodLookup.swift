internal import BypassAPI
internal import Kubernetes
internal import PodBypass

/// Finds pods that the watch does not show: those that have lost their label while no controller ran.
struct PodLookup: Sendable {
    private let client: APIClient

    init(_ client: APIClient) {
        self.client = client
    }

    /// nil if the pod was deleted, or the API server does not show it: its bypass ends all the same, as far as the daemon
    /// needs nothing of the pod to find it.
    func pod(_ reference: PodReference) async -> Pod? { try? await find(reference) }

    /// nil if the pod was deleted.
    func find(_ reference: PodReference) async throws(APIError) -> Pod? {
        // Roles give lists: a pod by itself would be another permission.
        let pods = ResourceWatch<Pod>(
            client, "/api/v1/namespaces/\(reference.namespace)/pods",
            selectors: [("fieldSelector", "metadata.name=\(reference.name)")])
        return try await pods.list(notOlderThan: nil).items.first { $0.metadata.uid == reference.uid }
    }
}

extension Pod {
    /// What happens to open connections when the pod's bypass ends.
    var connectionsAtEnd: OpenConnections? { try? BypassSpec(annotations: metadata.annotations).connections }
}
