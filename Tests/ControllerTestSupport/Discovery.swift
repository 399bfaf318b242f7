import StrictJSON

/// The resources that `kubectl` discovers first.
enum Discovery {
    static func version(of collection: String) -> String {
        // Such as `v1` or `security.istio.io/v1`.
        collection.split(separator: "/").dropFirst().dropLast().joined(separator: "/")
    }

    static func answer(_ path: String) -> JSONValue? {
        switch path {
        case "/version": ["major": "1", "minor": "32", "gitVersion": "v1.32.0"]
        case "/api":
            ["kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []]
        case "/apis":
            [
                "kind": "APIGroupList", "apiVersion": "v1",
                "groups": [
                    [
                        "name": "security.istio.io",
                        "versions": [["groupVersion": "security.istio.io/v1", "version": "v1"]],
                        "preferredVersion": ["groupVersion": "security.istio.io/v1", "version": "v1"],
                    ]
                ],
            ]
        case "/api/v1":
            [
                "kind": "APIResourceList", "groupVersion": "v1",
                "resources": [resource("pods", "Pod", short: "po"), resource("events", "Event", short: "ev")],
            ]
        case "/apis/security.istio.io/v1":
            [
                "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "security.istio.io/v1",
                "resources": [resource("peerauthentications", "PeerAuthentication", short: "pa")],
            ]
        default: nil
        }
    }

    private static func resource(_ name: String, _ kind: String, short: String) -> JSONValue {
        [
            "name": .string(name), "singularName": .string(kind.lowercased()), "namespaced": true,
            "kind": .string(kind), "shortNames": [.string(short)],
            "verbs": ["create", "delete", "get", "list", "patch", "watch"],
        ]
    }
}
