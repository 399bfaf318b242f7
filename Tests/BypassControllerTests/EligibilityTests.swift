import BypassAPI
import Kubernetes
import PodBypass
import Testing

@testable import BypassController

/// Which pods are bypassed, and why the others are not.
@Suite struct EligibilityTests {
    @Test(
        "A running pod with a sidecar is bypassed, whichever mesh it is of and however it was injected",
        arguments: [
            pod(), pod(containers: ["app", "linkerd-proxy"]), pod(containers: ["kuma-sidecar", "app"]),
            pod(annotations: ["sidecar.istio.io/status": "{}"], containers: ["app"]),
            pod(containers: ["app"], initContainers: [Pod.Container("istio-proxy", restartPolicy: "Always")]),
            pod(containers: ["app"], initContainers: [Pod.Container("linkerd-proxy", restartPolicy: "Always")]),
            // The kubelet may set this condition after the pod is seen first.
            pod(initialized: nil),
            pod(initialized: nil, initStatuses: [Pod.ContainerStatus("istio-init", exitCode: 0)]),
            pod(
                initContainers: [Pod.Container("istio-proxy", restartPolicy: "Always")],
                initStatuses: [Pod.ContainerStatus("istio-proxy", started: true)]),
            // As the kubelet reports a crashing sidecar: the condition and the phase stay as they were.
            pod(
                initContainers: [Pod.Container("istio-proxy", restartPolicy: "Always")],
                initStatuses: [Pod.ContainerStatus("istio-proxy", started: false)]),
            pod(initStatuses: [Pod.ContainerStatus("istio-init", exitCode: 1)]),
        ])
    func qualifies(_ pod: Pod) {
        #expect(Eligibility(of: pod, sidecars: Sidecars()) == .eligible(BypassSpec()))
    }

    @Test(
        "A pod that cannot be bypassed is refused, with a reason",
        arguments: [
            (pod(hostNetwork: true), "host's network"), (pod(containers: ["app"]), "no sidecar"),
            // An init container that ends is not a sidecar, whatever its name is.
            (pod(containers: ["app"], initContainers: [Pod.Container("istio-proxy")]), "no sidecar"),
            (pod(containers: ["app"], initContainers: [Pod.Container("istio-init")]), "no sidecar"),
        ])
    func refused(_ pod: Pod, _ words: String) {
        guard case .ineligible(let reason) = Eligibility(of: pod, sidecars: Sidecars()) else {
            Issue.record("\(Eligibility(of: pod, sidecars: Sidecars()))")
            return
        }
        #expect(reason.contains(words))
    }

    @Test(
        "A pod that is not ready waits, with a reason",
        arguments: [
            (pod(phase: "Pending", initialized: "False"), "init containers"),
            (pod(phase: "Running", initialized: "False"), "init containers"),
            (pod(initialized: nil, initStatuses: [Pod.ContainerStatus("istio-validation")]), "init containers"),
            (pod(initialized: nil, initStatuses: [Pod.ContainerStatus("setup", exitCode: 1)]), "init containers"),
            (
                pod(
                    initContainers: [Pod.Container("istio-proxy", restartPolicy: "Always")], initialized: nil,
                    initStatuses: [Pod.ContainerStatus("istio-proxy", started: false)]), "init containers"
            ), (pod(phase: "Pending"), "not running"),
            (pod(phase: nil), "not running"), (pod(addresses: []), "no address"),
        ])
    func waits(_ pod: Pod, _ words: String) {
        guard case .notYet(let reason) = Eligibility(of: pod, sidecars: Sidecars()) else {
            Issue.record("\(Eligibility(of: pod, sidecars: Sidecars()))")
            return
        }
        #expect(reason.contains(words))
    }

    @Test("Annotations name the connections that are bypassed, and what happens to open ones")
    func scope() throws {
        let spec = try BypassSpec(annotations: [
            "kmesh.net/bypass-ports": "8080, 9000-9100", "kmesh.net/bypass-networks": "10.0.0.0/8,fd00::/8",
            "kmesh.net/bypass-connections": "reset",
        ])
        #expect(spec.only?.description == "ports 8080, 9000-9100 in networks 10.0.0.0/8, fd00::/8")
        #expect(spec.connections == .reset)
        let ports = try BypassSpec(annotations: [
            "kmesh.net/bypass-ports": "80", "kmesh.net/bypass-connections": "keep",
        ])
        #expect(ports.only?.description == "port 80" && ports.connections == .keep)
        #expect(try BypassSpec(annotations: ["kmesh.net/bypass-networks": "10.0.0.7"]).only?.ports == [])
    }

    @Test(
        "A wrong scope is refused, in words",
        arguments: [
            ("ports", "", #""" must be a port from 1 to 65535, or a range such as 9000-9100"#),
            ("ports", "8080,", #""" must be a port"#), ("ports", "0", #""0" must be a port"#),
            ("ports", "70000", #""70000" must be a port"#), ("ports", "http", #""http" must be a port"#),
            ("ports", "9-8", #""9-8" is empty: the lower port of a range comes first"#),
            ("ports", "80 443", #""80 443" must be a port"#),
            ("ports", (1...17).map(String.init).joined(separator: ","), "has more than 16 ports"),
            ("networks", "10.0.0.1/8", #""10.0.0.1/8" has host bits after its prefix length: 10.0.0.0/8 is"#),
            ("networks", "db", #""db" is not an IPv4 or IPv6 network"#), ("networks", " ", #""" is not an IPv4"#),
            ("networks", (1...17).map { "10.0.0.\($0)" }.joined(separator: ","), "has more than 16 networks"),
            ("connections", "drop", #"is "drop": it must be keep or reset"#), ("connections", "", "it must be keep"),
        ])
    func wrongScope(_ name: String, _ value: String, _ words: String) {
        let annotations = ["kmesh.net/bypass-\(name)": value]
        guard case .ineligible(let reason) = Eligibility(of: pod(annotations: annotations), sidecars: Sidecars()) else {
            Issue.record("it is accepted")
            return
        }
        #expect(reason.hasPrefix("annotation kmesh.net/bypass-\(name)") && reason.contains(words), "\(reason)")
    }

    @Test("A terminating pod is left alone")
    func leaves() {
        #expect(Eligibility(of: pod(deletionTimestamp: "2026-01-01T00:00:00Z"), sidecars: Sidecars()) == .terminating)
    }

    @Test("A pod that has ended is left alone", arguments: ["Succeeded", "Failed"])
    func ended(_ phase: String) {
        #expect(Eligibility(of: pod(phase: phase), sidecars: Sidecars()) == .ended)
    }

    @Test("A sidecar that no mesh is known for has to be named")
    func otherSidecar() {
        let pod = pod(containers: ["app", "my-proxy"])
        guard case .ineligible(let reason) = Eligibility(of: pod, sidecars: Sidecars()) else {
            Issue.record("eligible without --sidecar")
            return
        }
        #expect(reason.contains("istio-proxy, linkerd-proxy, kuma-sidecar") && reason.contains("--sidecar NAME"))
        #expect(Eligibility(of: pod, sidecars: Sidecars(others: ["my-proxy"])) == .eligible(BypassSpec()))
    }

    @Test("Annotations are the spec")
    func options() {
        let annotations = [
            "kmesh.net/bypass-direction": "inbound", "kmesh.net/bypass-ttl": "15m",
            "kmesh.net/bypass-reason": "INC-4711",
        ]
        let spec = BypassSpec(direction: .inbound, ttl: 900, reason: "INC-4711")
        #expect(Eligibility(of: pod(annotations: annotations), sidecars: Sidecars()) == .eligible(spec))
    }

    @Test(
        "An invalid annotation leaves the pod in the mesh, and the reason names valid values",
        arguments: [
            (["kmesh.net/bypass-direction": "Inbound"], "both, inbound or outbound"),
            (["kmesh.net/bypass-direction": ""], "both, inbound or outbound"),
            (["kmesh.net/bypass-ttl": "soon"], "such as 15m"), (["kmesh.net/bypass-ttl": "0"], "at least one second"),
            (["kmesh.net/bypass-ttl": "-5m"], "such as 15m"),
            (["kmesh.net/bypass-reason": String(repeating: "x", count: 257)], "256 bytes"),
        ])
    func malformed(_ annotations: [String: String], _ words: String) {
        guard case .ineligible(let reason) = Eligibility(of: pod(annotations: annotations), sidecars: Sidecars()) else {
            Issue.record("\(annotations) was taken")
            return
        }
        #expect(reason.contains(words) && reason.contains(annotations.keys.first ?? ""))
    }

    @Test("A static pod's cgroup has another UID than its mirror pod")
    func mirror() {
        let mirror = pod(annotations: ["kubernetes.io/config.mirror": "5f2", "kubernetes.io/config.hash": "5f2"])
        #expect(mirror.kubeletUID == "5f2" && pod().kubeletUID == "u-1")
    }

    @Test("A pod is an owner, whatever the length of its name")
    func owner() {
        let reference = PodReference(namespace: "default", name: "web", uid: "u-1")
        #expect(reference.owner == "kubernetes:default/web/u-1")
        #expect(PodReference(owner: reference.owner) == reference)
        let long = PodReference(
            namespace: String(repeating: "n", count: 63), name: String(repeating: "a", count: 253),
            uid: "00000000-0000-4000-8000-000000000000")
        #expect(long.owner.utf8.count == 256)
        #expect(PodReference(owner: long.owner)?.uid == long.uid)
        for other in [nil, "alice", "kubernetes:default/web", "kubernetes://u-1", "kubernetes:a/b/c/d"] {
            #expect(PodReference(owner: other) == nil)
        }
    }
}
