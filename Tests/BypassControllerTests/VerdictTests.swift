import BypassAPI
import Kubernetes
import Testing

@testable import BypassController

/// Which pods are bypassed, and what the others are told.
@Suite struct VerdictTests {
    @Test(
        "A running pod with a sidecar is bypassed, whichever mesh's and however it was put in",
        arguments: [
            pod(), pod(containers: ["app", "linkerd-proxy"]), pod(containers: ["kuma-sidecar", "app"]),
            pod(annotations: ["sidecar.istio.io/status": "{}"], containers: ["app"]),
            pod(containers: ["app"], initContainers: [Pod.Container("istio-proxy", restartPolicy: "Always")]),
            pod(containers: ["app"], initContainers: [Pod.Container("linkerd-proxy", restartPolicy: "Always")]),
            // Kubernetes has not always had this condition at the time of the first look.
            pod(initialized: nil),
            pod(initialized: nil, initStatuses: [Pod.ContainerStatus("istio-init", exitCode: 0)]),
            pod(
                initContainers: [Pod.Container("istio-proxy", restartPolicy: "Always")],
                initStatuses: [Pod.ContainerStatus("istio-proxy", started: true)]),
        ])
    func qualifies(_ pod: Pod) {
        #expect(Verdict(of: pod) == .bypass(Options()))
    }

    @Test(
        "One that never will be is told why",
        arguments: [
            (pod(hostNetwork: true), "host's network"), (pod(containers: ["app"]), "no sidecar"),
            // An init container that ends is no sidecar, whatever it is called.
            (pod(containers: ["app"], initContainers: [Pod.Container("istio-proxy")]), "no sidecar"),
            (pod(containers: ["app"], initContainers: [Pod.Container("istio-init")]), "no sidecar"),
            (pod(phase: "Succeeded"), "has ended"), (pod(phase: "Failed"), "has ended"),
        ])
    func refused(_ pod: Pod, _ words: String) {
        guard case .refuse(let reason) = Verdict(of: pod) else {
            Issue.record("\(Verdict(of: pod))")
            return
        }
        #expect(reason.contains(words))
    }

    @Test(
        "One that cannot be yet is waited for",
        arguments: [
            (pod(phase: "Pending", initialized: "False"), "init containers"),
            (pod(phase: "Running", initialized: "False"), "init containers"),
            (pod(initialized: nil, initStatuses: [Pod.ContainerStatus("istio-validation")]), "init containers"),
            (pod(initialized: nil, initStatuses: [Pod.ContainerStatus("setup", exitCode: 1)]), "init containers"),
            (
                pod(
                    initContainers: [Pod.Container("istio-proxy", restartPolicy: "Always")],
                    initStatuses: [Pod.ContainerStatus("istio-proxy", started: false)]), "init containers"
            ), (pod(phase: "Pending"), "not running"),
            (pod(phase: nil), "not running"), (pod(addresses: []), "no address"),
        ])
    func waits(_ pod: Pod, _ words: String) {
        guard case .wait(let reason) = Verdict(of: pod) else {
            Issue.record("\(Verdict(of: pod))")
            return
        }
        #expect(reason.contains(words))
    }

    @Test("One that is being deleted is left as it is")
    func leaves() {
        #expect(Verdict(of: pod(deletionTimestamp: "2026-01-01T00:00:00Z")) == .leave)
    }

    @Test("Annotations say how")
    func options() {
        let annotations = [
            "kmesh.net/bypass-direction": "inbound", "kmesh.net/bypass-ttl": "15m",
            "kmesh.net/bypass-reason": "INC-4711",
        ]
        let options = Options(direction: .inbound, ttl: 900, reason: "INC-4711")
        #expect(Verdict(of: pod(annotations: annotations)) == .bypass(options))
    }

    @Test(
        "A bad annotation leaves the pod in the mesh, and says what would be taken",
        arguments: [
            (["kmesh.net/bypass-direction": "Inbound"], "both, inbound or outbound"),
            (["kmesh.net/bypass-direction": ""], "both, inbound or outbound"),
            (["kmesh.net/bypass-ttl": "soon"], "such as 15m"), (["kmesh.net/bypass-ttl": "0"], "at least one second"),
            (["kmesh.net/bypass-ttl": "-5m"], "such as 15m"),
            (["kmesh.net/bypass-reason": String(repeating: "x", count: 257)], "256 bytes"),
        ])
    func malformed(_ annotations: [String: String], _ words: String) {
        guard case .refuse(let reason) = Verdict(of: pod(annotations: annotations)) else {
            Issue.record("\(annotations) was taken")
            return
        }
        #expect(reason.contains(words) && reason.contains(annotations.keys.first ?? ""))
    }

    @Test("A static pod's control group has another name than its mirror")
    func mirror() {
        let mirror = pod(annotations: ["kubernetes.io/config.mirror": "5f2", "kubernetes.io/config.hash": "5f2"])
        #expect(mirror.kubeletUID == "5f2" && pod().kubeletUID == "u-1")
    }

    @Test("An owner is a pod, whatever the length of its name")
    func owner() {
        let name = PodName(namespace: "default", name: "web", uid: "u-1")
        #expect(name.owner == "kubernetes:default/web/u-1")
        #expect(PodName(owner: name.owner) == name)
        let long = PodName(
            namespace: String(repeating: "n", count: 63), name: String(repeating: "a", count: 253),
            uid: "00000000-0000-4000-8000-000000000000")
        #expect(long.owner.utf8.count == 256)
        #expect(PodName(owner: long.owner)?.uid == long.uid)
        for other in [nil, "alice", "kubernetes:default/web", "kubernetes://u-1", "kubernetes:a/b/c/d"] {
            #expect(PodName(owner: other) == nil)
        }
    }
}
