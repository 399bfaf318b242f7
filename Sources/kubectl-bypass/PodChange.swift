internal import BypassAPI
internal import Console
internal import Kubernetes
internal import PodBypass
internal import StrictJSON

/// Sets or removes the label of pods, with the annotations that belong to it.
struct PodChange: Sendable {
    enum Goal: Sendable {
        /// With these options; others are removed.
        case on([String: String])
        case off
    }

    let cluster: Cluster
    let goal: Goal
    /// The API server's name for this user, as far as it says.
    let user: String?

    private static let maxAttempts = 3

    /// - Returns: the pod after the change; nil if it is gone, and so is its bypass.
    func apply(to pod: Pod) async throws(Failure) -> Pod? {
        switch goal {
        case .on(let options):
            if let obstacle = pod.obstacle { throw Failure(obstacle) }
            // What the controller has said of an earlier bypass does not answer this one: it writes it again.
            let values = options.merging(claims(about: pod)) { $1 }
            return try await patch(
                pod, label: .string(BypassLabel.enabled),
                (Annotations.options + [Annotations.setBy, Annotations.setAt, Annotations.status]).map { name in
                    (name, values[name].map { .string($0) } ?? .null)
                })
        case .off:
            let annotations = Annotations.options + [Annotations.setBy, Annotations.setAt]
            do throws(APIError) {
                return try await change(pod, label: .null, annotations.map { ($0, .null) })
            } catch {
                if error.isUIDMismatch { return nil }
                // A policy may reserve the annotations, but lets everyone end a bypass.
                guard error.isDenial else {
                    throw Failure(Refusal(error, .patch, in: pod.metadata.namespace).message)
                }
                return try await patch(pod, label: .null, [])
            }
        }
    }

    private func claims(about pod: Pod) -> [String: String] {
        let isAsked = pod.metadata.labels[BypassLabel.key] == BypassLabel.enabled
        // Of a label that is there already, only its author has known the time.
        let since = isAsked ? pod.metadata.annotations[Annotations.setAt] : Console.now.description
        return [Annotations.setAt: since, Annotations.setBy: user].compactMapValues(\.self)
    }

    private func patch(
        _ pod: Pod, label: JSONValue, _ annotations: [(String, JSONValue)]
    ) async throws(Failure) -> Pod {
        try await cluster.reporting(.patch, in: pod.metadata.namespace) { () throws(APIError) in
            try await change(pod, label: label, annotations)
        }
    }

    private func change(
        _ pod: Pod, label: JSONValue, _ annotations: [(String, JSONValue)]
    ) async throws(APIError) -> Pod {
        var attempt = 1
        while true {
            do throws(APIError) {
                return try await cluster.patch(pod, labels: [(BypassLabel.key, label)], annotations: annotations)
            } catch {
                // Others write to pods at the same time.
                guard error.code == 409, !error.isUIDMismatch, attempt < Self.maxAttempts else { throw error }
                attempt += 1
            }
        }
    }
}

extension Pod {
    /// Why no bypass can start in it any more; nil if one can.
    var obstacle: String? {
        if metadata.deletionTimestamp != nil { return "it is being deleted" }
        return hasEnded ? "it has ended (\(status?.phase ?? "")): there is nothing to bypass" : nil
    }
}
