public import StrictJSON

extension APIServer {
    private static func pod(_ name: String, _ namespace: String) -> ObjectStore.Key {
        ObjectStore.Key(collection: "/api/v1/pods", namespace: namespace, name: name)
    }

    /// Creates a running pod in a mesh, or replaces an existing one.
    ///
    /// - Parameter change: changes the whole object.
    public func put(
        _ name: String, in namespace: String = "default", uid: String? = nil, node: String = "node-a",
        labels: JSONValue = [:], annotations: JSONValue = [:], addresses: [String] = ["10.89.0.1"],
        _ change: (JSONValue) -> JSONValue = { $0 }
    ) {
        var metadata: JSONValue = ["labels": labels, "annotations": annotations]
        if let uid { metadata = metadata.setting("uid", .string(uid)) }
        let ips = JSONValue.array(addresses.map { ["ip": .string($0)] })
        let pod: JSONValue = [
            "kind": "Pod", "apiVersion": "v1", "metadata": metadata,
            "spec": [
                "nodeName": .string(node),
                "containers": [["name": "app", "image": "app:1"], ["name": "istio-proxy", "image": "proxyv2:1"]],
            ],
            "status": [
                "phase": "Running", "conditions": [["type": "Initialized", "status": "True"]],
                "podIP": .string(addresses.first ?? ""), "podIPs": ips,
            ],
        ]
        store.change(Self.pod(name, namespace)) { _ in change(pod) }
    }

    /// Creates a Deployment.
    public func putDeployment(_ name: String, in namespace: String = "default", selector: JSONValue) {
        let key = ObjectStore.Key(collection: "/apis/apps/v1/deployments", namespace: namespace, name: name)
        store.change(key) { _ in ["kind": "Deployment", "metadata": [:], "spec": ["selector": selector]] }
    }

    /// Changes a pod with a merge patch; a watch sees it as any client's.
    public func patch(_ name: String, in namespace: String = "default", _ changes: JSONValue) {
        store.change(Self.pod(name, namespace)) { $0?.merged(with: changes) }
    }

    /// nil removes the label.
    public func label(_ name: String, in namespace: String = "default", _ value: JSONValue? = "enabled") {
        patch(name, in: namespace, ["metadata": ["labels": ["kmesh.net/bypass": value ?? .null]]])
    }

    public func annotate(_ name: String, in namespace: String = "default", _ annotations: JSONValue) {
        patch(name, in: namespace, ["metadata": ["annotations": annotations]])
    }

    public func delete(_ name: String, in namespace: String = "default") {
        store.change(Self.pod(name, namespace)) { _ in nil }
    }

    /// nil if there is none.
    public func pod(_ name: String, in namespace: String = "default") -> JSONValue? {
        store[Self.pod(name, namespace)]
    }

    public func annotation(_ annotation: String, of name: String, in namespace: String = "default") -> String? {
        pod(name, in: namespace)?["metadata"]?["annotations"]?[annotation]?.string
    }

    public func hasLabel(_ name: String, in namespace: String = "default") -> Bool {
        pod(name, in: namespace)?["metadata"]?["labels"]?["kmesh.net/bypass"] != nil
    }

    /// The Events about a pod, oldest first.
    public func events(about name: String) -> [JSONValue] {
        (store.objects(of: "/api/v1/events")?.objects ?? []).filter { $0.text(at: "involvedObject.name") == name }
            .sorted {
                (Int($0.text(at: "metadata.resourceVersion") ?? "") ?? 0)
                    < (Int($1.text(at: "metadata.resourceVersion") ?? "") ?? 0)
            }
    }

    public func reasons(about name: String) -> [String] {
        events(about: name).compactMap { $0["reason"]?.string }
    }

    /// Creates a PeerAuthentication.
    public func requireMutualTLS(
        _ mode: String, _ name: String = "default", in namespace: String, matchLabels: JSONValue? = nil
    ) {
        var spec: JSONValue = ["mtls": ["mode": .string(mode)]]
        if let matchLabels { spec = spec.setting("selector", ["matchLabels": matchLabels]) }
        let key = ObjectStore.Key(
            collection: "/apis/security.istio.io/v1/peerauthentications", namespace: namespace, name: name)
        store.change(key) { _ in
            ["kind": "PeerAuthentication", "apiVersion": "security.istio.io/v1", "metadata": [:], "spec": spec]
        }
    }
}
