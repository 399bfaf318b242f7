import ArgumentParser
import BypassAPI
import Linux
import MeshSandbox
import Testing
import Yams

@testable import kmesh_bypassctl

/// `manifest`: read as a cluster reads it.
@Suite struct ManifestTests {
    private static let root = String(#filePath.dropLast("/Tests/kmesh-bypassctlTests/ManifestTests.swift".count))

    @Test func `It has what runs the controller, in the order in which it can be made`() throws {
        let objects = try manifest()
        #expect(
            objects.map { $0["kind"]?.string } == [
                "Namespace", "ServiceAccount", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
                "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ClusterRole", "ClusterRoleBinding",
                "DaemonSet",
            ])
        let (policy, role) = ("admissionregistration.k8s.io/v1", "rbac.authorization.k8s.io/v1")
        #expect(
            objects.map { $0["apiVersion"]?.string } == [
                "v1", "v1", policy, policy, policy, policy, role, role, "apps/v1",
            ])
        #expect(
            objects.map { $0["metadata"]?["name"]?.string } == [
                "kmesh-system", "bypass-controller", "kmesh-bypass-controller", "kmesh-bypass-controller",
                "kmesh-bypass-controller-events", "kmesh-bypass-controller-events", "kmesh-bypass-controller",
                "kmesh-bypass-controller", "bypass-controller",
            ])
        let kinds = try manifest("--no-admission-policy").map { $0["kind"]?.string }
        #expect(kinds == ["Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "DaemonSet"])
    }

    @Test func `The controller has the rights that it needs, and no others`() throws {
        let objects = try manifest()
        let role = try object("ClusterRole", of: objects)
        let rules = try #require(role["rules"]?.sequence).map { rule in
            ["apiGroups", "resources", "verbs"].map { rule[$0]?.array().map { $0.string } }
        }
        #expect(
            rules == [
                [[""], ["pods"], ["list", "watch", "patch"]],
                [[""], ["events"], ["create", "patch"]],
                [["security.istio.io"], ["peerauthentications"], ["list"]],
            ])
        let binding = try object("ClusterRoleBinding", of: objects)
        #expect(binding["roleRef"]?["name"] == role["metadata"]?["name"])
        #expect(binding["subjects"]?[0]?["name"] == objects[1]["metadata"]?["name"])
        #expect(binding["subjects"]?[0]?["namespace"]?.string == "kmesh-system")
        let pod = try pod(of: objects)
        #expect(pod["serviceAccountName"] == objects[1]["metadata"]?["name"])
        // One of the two would keep the token from the controller.
        #expect(objects[1]["automountServiceAccountToken"]?.bool == false)
        #expect(pod["automountServiceAccountToken"]?.bool == true)
    }

    @Test func `The pod may do nothing on its node but connect to the socket`() throws {
        let pod = try pod(of: try manifest("--gid", "987"))
        let person = try #require(pod["securityContext"])
        #expect(person["runAsNonRoot"]?.bool == true)
        #expect(person["runAsUser"]?.int == 65532 && person["runAsGroup"]?.int == 65532)
        #expect(person["supplementalGroups"]?.array().map { $0.int } == [987])
        #expect(person["seccompProfile"]?["type"]?.string == "RuntimeDefault")

        #expect(pod["containers"]?.sequence?.count == 1)
        let container = try #require(pod["containers"]?[0])
        let limits = try #require(container["securityContext"])
        #expect(limits["readOnlyRootFilesystem"]?.bool == true)
        #expect(limits["allowPrivilegeEscalation"]?.bool == false)
        #expect(limits["capabilities"]?["drop"]?.array().map { $0.string } == ["ALL"])
        #expect(limits["capabilities"]?["add"] == nil && limits["privileged"] == nil)
        for name in ["hostNetwork", "hostPID", "hostIPC"] { #expect(pod[name] == nil) }

        #expect(pod["volumes"]?.sequence?.count == 1)
        #expect(Product.socketPath.hasPrefix("/run/kmesh/"))
        #expect(pod["volumes"]?[0]?["hostPath"]?["path"]?.string == "/run/kmesh")
        #expect(container["volumeMounts"]?.sequence?.count == 1)
        #expect(container["volumeMounts"]?[0]?["mountPath"]?.string == "/run/kmesh")
        #expect(container["volumeMounts"]?[0]?["readOnly"]?.bool == true)
        #expect(container["volumeMounts"]?[0]?["name"] == pod["volumes"]?[0]?["name"])
    }

    @Test func `It runs on every node, knows which one, and is asked how it is`() throws {
        let objects = try manifest("--image", "registry.example:5000/mesh/controller:1")
        let pod = try pod(of: objects)
        let container = try #require(pod["containers"]?[0])
        #expect(container["image"]?.string == "registry.example:5000/mesh/controller:1")
        #expect(
            container["command"]?.array().map { $0.string } == ["kmesh-bypass-controller", "--enable-bypass=true"])
        #expect(container["env"]?[0]?["name"]?.string == "NODE_NAME")
        #expect(container["env"]?[0]?["valueFrom"]?["fieldRef"]?["fieldPath"]?.string == "spec.nodeName")
        for (probe, page) in [("livenessProbe", "healthz"), ("readinessProbe", "readyz")] {
            #expect(
                container[probe]?["exec"]?["command"]?.array().map { $0.string } == [
                    "kmesh-bypass-controller", "probe", page,
                ])
        }
        #expect(container["resources"]?["limits"]?["memory"]?.string == "128Mi")
        // Without a key it tolerates every taint.
        #expect(pod["tolerations"]?[0]?.mapping?.count == 1)
        #expect(pod["tolerations"]?[0]?["operator"]?.string == "Exists")
        #expect(pod["nodeSelector"]?["kubernetes.io/os"]?.string == "linux")
    }

    @Test func `No mesh takes the controller in, and the DaemonSet finds its pods`() throws {
        let objects = try manifest()
        let template = try #require(object("DaemonSet", of: objects)["spec"]?["template"]?["metadata"])
        #expect(template["labels"]?["sidecar.istio.io/inject"]?.string == "false")
        // A boolean here is refused by the API server.
        #expect(template["labels"]?["sidecar.istio.io/inject"]?.tag.rawValue == "tag:yaml.org,2002:str")
        #expect(template["labels"]?["istio.io/dataplane-mode"]?.string == "none")
        #expect(template["labels"]?["kuma.io/sidecar-injection"]?.string == "disabled")
        #expect(template["annotations"]?["linkerd.io/inject"]?.string == "disabled")
        for (name, value) in try #require(
            object("DaemonSet", of: objects)["spec"]?["selector"]?["matchLabels"]?.mapping)
        {
            #expect(template["labels"]?[name] == value)
        }
    }

    @Test func `Removing it by its label leaves the namespace alone`() throws {
        let label = "app.kubernetes.io/name"
        let names = try manifest().map { $0["metadata"]?["labels"]?[label]?.string }
        #expect(names == [nil] + Array(repeating: "kmesh-bypass-controller", count: 8))
    }

    @Test(arguments: ["null", "true", "1e3", "007", "a-b"])
    func `A namespace of any name is a text, wherever it stands`(name: String) throws {
        let objects = try manifest("--namespace", name)
        let found = [
            objects[0]["metadata"]?["name"], objects[1]["metadata"]?["namespace"],
            try object("ClusterRoleBinding", of: objects)["subjects"]?[0]?["namespace"],
            try object("DaemonSet", of: objects)["metadata"]?["namespace"],
        ]
        for node in found {
            #expect(node?.scalar?.string == name)
            #expect(node?.tag.rawValue == "tag:yaml.org,2002:str")
        }
    }

    @Test(arguments: [
        "controller", "controller:0.1.0", "localhost:5000/controller", "registry.example/a/b__c/d-e.f:V_1.2-x",
        "[::1]:5000/controller", "controller@sha256:" + String(repeating: "0", count: 64),
        "registry.example/a:1@sha512:" + String(repeating: "f", count: 128),
    ])
    func `An image may be named as container runtimes name it`(image: String) throws {
        let pod = try pod(of: try manifest("--image", image))
        #expect(pod["containers"]?[0]?["image"]?.string == image)
    }

    @Test(arguments: [
        ["--image", ""], ["--image", "a b"], ["--image", "a\""], ["--image", "a\nprivileged: true"],
        ["--image", "a\n"],
        ["--image", "a\\"], ["--image", "A"], ["--image", "a:"], ["--image", "a:-"], ["--image", "a/"],
        ["--image", "/a"], ["--image", "https://a/b"], ["--image", "a@sha256:0"], ["--image", "\u{e4}"],
        ["--image", "a\u{301}"], ["--image", "a:" + String(repeating: "b", count: 129)],
        ["--image", String(repeating: "a", count: 1000)],
        ["--namespace", ""], ["--namespace", "A"], ["--namespace", "a.b"], ["--namespace", "-a"],
        ["--namespace", "a-"],
        ["--namespace", "a\n"], ["--namespace", "a\"\nb"], ["--namespace", String(repeating: "a", count: 64)],
        ["--gid", "0"], ["--gid=-1"], ["--gid", "2147483648"], ["--gid", "kmesh"], ["--gid", "1]"],
        ["--gid", "\u{661}"],
        ["--node-selector", "a"], ["--node-selector", "a=b c"], ["--node-selector", "a=b\"\n"],
        ["--node-selector", "=b"], ["--daemon-image", "A"], ["--alerts", "rules.yaml"],
        ["--gid", ""], ["--label-policy", ""], ["--label-policy", "a'b"], ["--label-policy", "a\nb"], ["more"],
    ])
    func `A text that is not a value is a fault of the command line`(arguments: [String]) throws {
        let error = try #require(throws: (any Error).self) { try Bypassctl.parseAsRoot(["manifest"] + arguments) }
        #expect(Bypassctl.exitCode(for: error).rawValue == 64)
    }

    @Test func `A refusal says what would be taken`() throws {
        for (option, word) in [("--image", "registry.example"), ("--namespace", "63"), ("--gid", "getent group kmesh")]
        {
            let error = try #require(throws: (any Error).self) {
                try Bypassctl.parseAsRoot(["manifest", option, "'"])
            }
            #expect(Bypassctl.message(for: error).contains(word))
        }
    }

    @Test func `The daemon's pod has the rights of the unit, its socket the controller's group`() throws {
        let objects = try manifest("--gid", "987", "--daemon")
        let pod = try #require(
            try object("DaemonSet", of: objects)["spec"]?["template"]?["spec"], "the daemon's is the first")
        let unit = try Files.text(Self.root + "/systemd/kmesh-bypassd.service").split(separator: "\n")
        let bounds = try #require(unit.first { $0.hasPrefix("CapabilityBoundingSet=") })
        let rights = pod["containers"]?[0]?["securityContext"]?["capabilities"]
        #expect(
            rights?["add"]?.array().compactMap { $0.string.map { "CAP_" + $0 } }
                == bounds.dropFirst("CapabilityBoundingSet=".count).split(separator: " ").map(String.init))
        #expect(rights?["drop"]?.array().map { $0.string } == ["ALL"])
        #expect(pod["containers"]?[0]?["securityContext"]?["privileged"] == nil)
        #expect(pod["securityContext"]?["supplementalGroups"]?.array().map { $0.int } == [987])
        let accounts = try object("ConfigMap", of: objects)
        #expect(accounts["data"]?["group"]?.string == "root:x:0:\nkmesh:x:987:\n")
        let memory = try #require(unit.first { $0.hasPrefix("MemoryMax=") }).dropFirst("MemoryMax=".count)
        #expect(pod["containers"]?[0]?["resources"]?["limits"]?["memory"]?.string == memory + "i")
    }

    @Test func `Nodes without the daemon can be left out`() throws {
        let objects = try manifest(
            "--daemon", "--node-selector", "kmesh.net/bypassd=installed", "--node-selector", "a=1")
        let sets = objects.filter { $0["kind"]?.string == "DaemonSet" }
        #expect(sets.count == 2)
        for set in sets {
            let selector = try #require(set["spec"]?["template"]?["spec"]?["nodeSelector"]?.mapping)
            #expect(selector.count == 3)
            #expect(selector["kmesh.net/bypassd"]?.string == "installed")
            #expect(selector["a"]?.tag.rawValue == "tag:yaml.org,2002:str")
        }
    }

    @Test func `The alerts are those of the rule file`() throws {
        let file = Self.root + "/systemd/monitoring/alerts.yaml"
        let objects = try manifest("--monitoring", "--alerts", file)
        let rules = try object("PrometheusRule", of: objects)
        #expect(rules["spec"]?["groups"] == (try compose(yaml: try Files.text(file)))?["groups"])
        let monitor = try object("PodMonitor", of: objects)
        let pod = try pod(of: objects)
        #expect(monitor["spec"]?["podMetricsEndpoints"]?[0]?["port"] == pod["containers"]?[0]?["ports"]?[0]?["name"])
        #expect(try manifest("--monitoring").allSatisfy { $0["kind"]?.string != "PrometheusRule" })
    }

    @Test(arguments: [("controller", []), ("label", ["--label-policy", "sre", "--label-policy", "mesh:operators"])])
    func `The policies allow and deny what they say, as an evaluator of CEL sees them`(
        cases: String, arguments: [String]
    ) async throws {
        let command = try #require(try Bypassctl.parseAsRoot(["manifest"] + arguments) as? Manifest)
        let root = Self.root
        let folder = root + "/Tests/ControllerTestSupport/Admission"
        let python = root + "/.build-cel/bin/python"
        try #require(Files.exists(String(python)), "no evaluator of CEL is installed: Tests/run.sh does that")
        // Cases that came out in another way, and last the number of all.
        let lines = try await Command.run(
            ["env", String(python), folder + "/admission.py", "cases", "\(folder)/\(cases)_cases.yaml"],
            input: try command.text()
        ).split(separator: "\n")
        #expect(lines.dropLast() == [])
        #expect(lines.last.flatMap { Int($0) } ?? 0 >= 16)
    }

    /// What the command would print, as objects.
    private func manifest(_ arguments: String...) throws -> [Node] {
        let command = try #require(try Bypassctl.parseAsRoot(["manifest"] + arguments) as? Manifest)
        let text = try command.text()
        let lines = text.split(separator: "\n")
        #expect(lines.allSatisfy { ($0.utf8.count <= 130 || $0.contains(command.image.description)) && $0.last != " " })
        // The sequence is a value: in a copy of it, as Array makes one, no one would see that it ended with an error.
        var stream = try compose_all(yaml: text)
        var objects: [Node] = []
        while let object = stream.next() { objects.append(object) }
        if let error = stream.error { throw error }
        return objects
    }

    private func object(_ kind: String, of objects: [Node]) throws -> Node {
        try #require(objects.first { $0["kind"]?.string == kind })
    }

    private func pod(of objects: [Node]) throws -> Node {
        try #require(try object("DaemonSet", of: objects)["spec"]?["template"]?["spec"])
    }
}
