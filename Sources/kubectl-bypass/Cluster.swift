internal import Console
internal import Kubernetes
internal import PodBypass
internal import StrictJSON

/// The API server, as this user sees it.
struct Cluster: Sendable {
    let client: APIClient
    /// Of targets.
    let namespace: String
    /// Who waits where the server says when to try again.
    var retrying = APIClient.Retrying.here

    // MARK: pods

    static func path(_ namespace: String, _ name: String) -> String { "/api/v1/namespaces/\(namespace)/pods/\(name)" }

    func pod(_ name: String, in namespace: String) async throws(APIError) -> Pod {
        try Self.decode(try await client.get(Self.path(namespace, name)))
    }

    /// - Parameter namespace: nil for all.
    func pods(_ selector: String?, in namespace: String?) async throws(APIError) -> [Pod] {
        let path = namespace.map { "/api/v1/namespaces/\($0)/pods" } ?? "/api/v1/pods"
        let selectors = selector.map { [("labelSelector", $0)] } ?? []
        // Newer than anything that this user has done before.
        return try await ResourceWatch<Pod>(client, path, selectors: selectors)
            .list(notOlderThan: nil, retrying: retrying).items
    }

    /// Changes a pod's metadata, unless another pod has its name by now.
    func patch(_ pod: Pod, labels: [(String, JSONValue)], annotations: [(String, JSONValue)]) async throws(APIError)
        -> Pod
    {
        let metadata = JSONObject(uniqueMembers: [
            ("uid", .string(pod.metadata.uid)), ("labels", .object(JSONObject(uniqueMembers: labels))),
            ("annotations", .object(JSONObject(uniqueMembers: annotations))),
        ])
        let changed = try await client.patch(
            Self.path(pod.metadata.namespace, pod.metadata.name), with: ["metadata": .object(metadata)])
        return try Self.decode(changed)
    }

    private static func decode<Object: KubernetesObject>(_ value: JSONValue) throws(APIError) -> Object {
        do throws(JSONDecodingError) {
            return try JSONDecoding.decode(Object.self, from: value, unknownMembers: .ignore)
        } catch {
            throw .invalidAnswer(error.description)
        }
    }

    /// The objects of a kind in one namespace.
    static func path(_ kind: Target.Kind, in namespace: String) -> String {
        "/apis/\(kind.group)/v1/namespaces/\(namespace)/\(kind.rawValue)s"
    }

    // MARK: targets

    /// The pods that the options name, each once, and why there are none of some.
    ///
    /// - Parameter isForStart: whether pods that have ended, or are being deleted, are left out, unless one is named.
    /// - Throws: if there are none at all.
    func pods(
        of options: TargetOptions, isForStart: Bool = false
    ) async throws(Failure) -> (pods: [Pod], failures: [Failure]) {
        if let selector = options.selector {
            let place = options.allNamespaces ? nil : namespace
            let found = try await reporting(.list, in: place) { () throws(APIError) in
                try await pods(selector, in: place)
            }
            if found.isEmpty { throw Failure("no pod \(Self.words(place)) has the labels \(selector)") }
            let left = try Self.startable(found, isForStart, of: "\(Self.words(place)) with the labels \(selector)")
            return (left, [])
        }
        var found: [Pod] = []
        var failures: [Failure] = []
        for target in options.targets {
            do throws(Failure) {
                for pod in try await pods(of: target, isForStart: isForStart)
                where !found.contains(where: { $0.metadata.uid == pod.metadata.uid }) {
                    found.append(pod)
                }
            } catch {
                failures.append(error)
            }
        }
        if found.isEmpty, failures.count == 1 { throw failures[0] }
        return (found, failures)
    }

    private func pods(of target: Target, isForStart: Bool) async throws(Failure) -> [Pod] {
        switch target {
        case .pod(let name):
            do throws(APIError) {
                return [try await pod(name, in: namespace)]
            } catch {
                if error.code == 404 { throw Failure(await notFound(name)) }
                throw Failure(Refusal(error, .get, in: namespace).message)
            }
        case .workload(let kind, let name):
            let object: WorkloadObject
            do throws(APIError) {
                object = try Self.decode(try await client.get(Self.path(kind, in: namespace) + "/" + name))
            } catch {
                if error.code == 404 { throw Failure("there is no \(kind.rawValue) \(name) in namespace \(namespace)") }
                throw Failure(Refusal(error, .get, of: kind.rawValue + "s", in: namespace).message)
            }
            guard let selector = object.spec.selector?.text else {
                throw Failure("\(kind.rawValue) \(name) has no selector that this version understands: select with -l")
            }
            let found = try await reporting(.list, in: namespace) { () throws(APIError) in
                try await pods(selector, in: namespace)
            }
            if found.isEmpty { throw Failure("\(kind.rawValue) \(name) in namespace \(namespace) has no pods") }
            return try Self.startable(found, isForStart, of: "of \(kind.rawValue) \(name) in namespace \(namespace)")
        }
    }

    /// Those in which a bypass can start, if it is for that.
    private static func startable(_ found: [Pod], _ isForStart: Bool, of whom: String) throws(Failure) -> [Pod] {
        let pods = isForStart ? found.filter { $0.obstacle == nil } : found
        if pods.isEmpty { throw Failure("all pods \(whom) have ended, or are being deleted") }
        return pods
    }

    /// Says that the pod was not found, and which pod may be meant.
    private func notFound(_ name: String) async -> String {
        let sentence = "there is no pod \(name) in namespace \(namespace)"
        guard let names = try? await pods(nil, in: namespace).map(\.metadata.name) else { return sentence }
        if let nearest = name.nearest(of: names) { return "\(sentence): did you mean '\(nearest)'?" }
        guard let longer = names.filter({ $0.hasPrefix(name) }).min() else { return sentence }
        return "\(sentence): did you mean '\(longer)', or 'deploy/\(name)'?"
    }

    // MARK: others

    /// The names of the objects in a collection.
    func names(_ path: String) async throws(APIError) -> [String] {
        try await ResourceWatch<NamedObject>(client, path, selectors: []).list(notOlderThan: "0").items
            .map(\.metadata.name)
    }

    private struct NamedObject: KubernetesObject {
        var metadata: ObjectMeta
    }

    /// The API server's name for this user (Kubernetes 1.28); nil if it does not say.
    func userName() async -> String? {
        let review: JSONValue = ["kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"]
        let answer = try? await client.create(review, in: "/apis/authentication.k8s.io/v1/selfsubjectreviews")
        return answer?.object?["status"]?.object?["userInfo"]?.object?["username"]?.string
    }

    /// - Parameter namespace: nil for all.
    func reporting<Result>(
        _ verb: Refusal.Verb, in namespace: String?, _ body: () async throws(APIError) -> Result
    ) async throws(Failure) -> Result {
        do throws(APIError) {
            return try await body()
        } catch {
            throw Failure(Refusal(error, verb, in: namespace).message)
        }
    }

    static func words(_ namespace: String?) -> String { namespace.map { "in namespace \($0)" } ?? "in any namespace" }
}
