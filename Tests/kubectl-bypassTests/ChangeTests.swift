import ControllerTestSupport
import StrictJSON
import Testing

/// `kubectl bypass on` and `off`, as a user calls them.
@Suite(.timeLimit(.minutes(1))) struct ChangeTests {
    @Test("on sets label and annotations, and removes what an earlier one has set")
    func on() async throws {
        try await Plugin.with { kubectl in
            kubectl.server.put("web-0", annotations: ["kmesh.net/bypass-ports": "80", "other": "kept"])
            let result = try await kubectl(
                "on", "web-0", "--for", "1h30m", "--reason", "INC-4711", "--direction", "inbound", "--network",
                "10.0.0.0/8", "--network", "fd00::/8", "--reset")
            #expect(result.code == 0 && result.output == "default/web-0: bypass asked for\n", "\(result)")
            #expect(kubectl.server.hasLabel("web-0"))
            let metadata = kubectl.server.pod("web-0")?["metadata"]
            var annotations: [String: String] = [:]
            for member in metadata?["annotations"]?.object?.members ?? [] {
                annotations[member.key] = member.value.string
            }
            #expect(annotations.removeValue(forKey: "kmesh.net/bypass-since")?.hasPrefix("20") == true)
            #expect(
                annotations == [
                    "other": "kept", "kmesh.net/bypass-ttl": "1h30m", "kmesh.net/bypass-direction": "inbound",
                    "kmesh.net/bypass-networks": "10.0.0.0/8,fd00::/8", "kmesh.net/bypass-connections": "reset",
                    "kmesh.net/bypass-reason": "INC-4711", "kmesh.net/bypass-by": "alice@example.org",
                ])
        }
    }

    @Test("off removes them; where a policy reserves the annotations, the label alone")
    func off() async throws {
        try await Plugin.with { kubectl in
            kubectl.server.put("web-0")
            _ = try await kubectl("on", "web-0", "--reason", "x")
            kubectl.server.admit { review in
                let isKept = review["object"]?["metadata"]?["annotations"]?["kmesh.net/bypass-reason"] != nil
                return isKept ? nil : .init(422, "Forbidden", "the annotations are reserved")
            }
            #expect(try await kubectl("off", "pod/web-0").code == 0)
            #expect(!kubectl.server.hasLabel("web-0"))
            #expect(kubectl.server.annotation("kmesh.net/bypass-reason", of: "web-0") == "x")
            kubectl.server.admit(by: nil)
            #expect(try await kubectl("off", "pod/web-0").code == 0)
            #expect(kubectl.server.pod("web-0")?["metadata"]?["annotations"] == [:])
        }
    }

    @Test(
        "--wait ends with what the controller says",
        arguments: [
            ("on until 2036-11-26T16:00:00Z", 0), ("on, contested", 0), ("on, nothing to bypass", 0),
            ("on, not effective: redirect", 2), ("refused: the pod has no sidecar", 1), ("failed: no daemon", 1),
        ])
    func wait(_ status: String, _ code: Int32) async throws {
        try await Plugin.with { kubectl in
            // That of an earlier bypass does not count.
            kubectl.server.put("web-0", annotations: [Plugin.status: "expired 2026-11-26T16:00:00Z"])
            let result = try await kubectl.answering(.string(status)) {
                try await kubectl("on", "web-0", "--wait", "--timeout", "20s")
            }
            #expect(result.code == code, "\(result)")
            #expect((result.output + result.errors).contains("default/web-0: \(status)\n"), "\(result)")
        }
    }

    @Test("A wait goes on while the pod waits, and ends in time, with what is known")
    func timeout() async throws {
        try await Plugin.with { kubectl in
            kubectl.server.put("web-0", node: "node-b")
            var result = try await kubectl("on", "web-0", "--wait", "--timeout", "1s")
            #expect(result.code == 124)
            #expect(result.errors.contains("no result within 1s: no controller has reported on it"), "\(result)")
            #expect(result.errors.contains("does kmesh-bypass-controller run on node node-b?"))
            kubectl.server.label("web-0", nil)
            result = try await kubectl.answering("waiting: it is not running yet") {
                try await kubectl("on", "web-0", "--wait", "--timeout", "1s")
            }
            #expect(
                result.code == 124 && result.errors.contains("within 1s: waiting: it is not running yet"), "\(result)")
        }
    }

    @Test("A wait outlives a server that is away for a moment, and does not hang with one that is silent")
    func outage() async throws {
        try await Plugin.with { kubectl in
            kubectl.server.put("web-0")
            let isLook: @Sendable (APIServer.Request) -> Bool = { [server = kubectl.server] request in
                request.verb == "GET" && request.path.hasSuffix("/web-0") && server.hasLabel("web-0")
            }
            kubectl.server.fail(.drop, where: isLook)
            kubectl.server.fail(.status(503, "ServiceUnavailable", "starting"), where: isLook)
            // Its roles are not loaded yet.
            kubectl.server.fail(.status(403, "Forbidden", "RBAC: clusterrole \"view\" not found"), where: isLook)
            let result = try await kubectl.answering("on") {
                try await kubectl("on", "web-0", "--wait", "--timeout", "20s")
            }
            #expect(result.code == 0 && kubectl.server.hasNoFaultsLeft, "\(result)")
            kubectl.server.label("web-0", nil)
            kubectl.server.fail(.silence, where: isLook)
            let start = ContinuousClock.now
            let silent = try await kubectl("on", "web-0", "--wait", "--timeout", "1s")
            #expect(silent.code == 124 && silent.errors.contains("did not answer in time"), "\(silent)")
            #expect(start.duration(to: .now) < .seconds(10))
        }
    }

    @Test("A pod that is deleted while the command waits")
    func deletion() async throws {
        try await Plugin.with { kubectl in
            kubectl.server.put("web-0")
            async let result = kubectl("on", "web-0", "--wait", "--timeout", "20s")
            while !kubectl.server.hasLabel("web-0") { try await Task.sleep(for: .milliseconds(5)) }
            kubectl.server.delete("web-0")
            let ended = try await result
            #expect(ended.code == 1 && ended.errors.contains("default/web-0: it was deleted meanwhile"), "\(ended)")
        }
    }

    @Test("off --wait waits until the status is gone")
    func waitForEnd() async throws {
        try await Plugin.with { kubectl in
            kubectl.server.put("web-0", labels: ["kmesh.net/bypass": "enabled"], annotations: [Plugin.status: "on"])
            var result = try await kubectl("off", "web-0", "--wait", "--timeout", "1s")
            #expect(result.code == 124 && result.errors.contains("its status is still \"on\": does kmesh"), "\(result)")
            result = try await kubectl.answering("off, not effective: foreign-bypass", whileLabelled: false) {
                try await kubectl("off", "web-0", "--wait", "--timeout", "20s")
            }
            #expect(result.code == 2, "\(result)")
            kubectl.server.annotate("web-0", [Plugin.status: .null])
            result = try await kubectl("off", "web-0", "--wait")
            #expect(result.code == 0 && result.output == "default/web-0: off\n", "\(result)")
        }
    }

    @Test("Several pods: one line each, failures do not stop the others, and the exit code is the worst one's")
    func several() async throws {
        try await Plugin.with { kubectl in
            for name in ["web-0", "web-1", "web-2"] { kubectl.server.put(name, labels: ["app": "web"]) }
            kubectl.server.put("db-0", in: "shop", labels: ["app": "web"])
            kubectl.server.putDeployment(
                "web",
                selector: [
                    "matchLabels": ["app": "web"],
                    "matchExpressions": [
                        ["key": "app", "operator": "In", "values": ["web", "other"]],
                        ["key": "canary", "operator": "DoesNotExist"],
                    ],
                ])
            kubectl.server.fail(.status(403, "Forbidden", "denied by a policy")) { request in
                request.verb == "PATCH" && request.path.hasSuffix("web-1")
            }
            let result = try await kubectl("on", "deploy/web", "web-2", "none")
            #expect(result.code == 1)
            #expect(result.output == "default/web-0: bypass asked for\ndefault/web-2: bypass asked for\n", "\(result)")
            let errors = result.errors.split(separator: "\n").map(String.init)
            #expect(
                errors.first == "kubectl-bypass: there is no pod none in namespace default"
                    && errors.dropFirst().first
                        == "kubectl-bypass: default/web-1: an admission policy of the cluster denies it: denied by a policy",
                "\(result)")
            let all = try await kubectl("on", "-A", "-l", "app in (web)", "-o", "json")
            let pods = try all.pods
            #expect(all.code == 0 && pods.map { $0.text("name") } == ["web-0", "web-1", "web-2", "db-0"], "\(all)")
            #expect(pods.allSatisfy { $0["asked"] == true && $0.text("state") == "unreported" && $0["error"] == .null })
        }
    }

    @Test("on warns of Istio's mTLS, once for all pods that it is about")
    func mutualTLS() async throws {
        try await Plugin.with { kubectl in
            for name in ["web-0", "web-1"] { kubectl.server.put(name, labels: ["app": "web"]) }
            let words =
                "kubectl-bypass: warning: default/web-0 and default/web-1: Istio's default lets this pod's clients use mTLS"
            let result = try await kubectl("on", "-l", "app=web", "--direction", "inbound")
            #expect(result.code == 0 && result.errors.hasPrefix(words), "\(result)")
            #expect(
                result.errors.split(separator: "\n").count == 1 && !result.errors.contains("plaintext"), "\(result)")
            kubectl.server.fail(.status(403, "Forbidden", "no")) { $0.path.hasSuffix("/peerauthentications") }
            let warning = try await kubectl("on", "web-0", "-o", "json").pods[0]["warnings"]?.array?.first
            #expect(warning?.text("code") == "BypassUnknownMTLS", "\(warning as Any)")
        }
    }

    @Test("A conflict is tried again, and another pod of the same name is left alone")
    func conflicts() async throws {
        try await Plugin.with { kubectl in
            kubectl.server.put("web-0")
            let isPatch: @Sendable (APIServer.Request) -> Bool = { $0.verb == "PATCH" }
            kubectl.server.fail(.status(409, "Conflict", "modified"), times: 2, where: isPatch)
            #expect(try await kubectl("on", "web-0").code == 0)
            kubectl.server.fail(.status(409, "Conflict", "modified"), times: 3, where: isPatch)
            let result = try await kubectl("on", "web-0")
            #expect(result.code == 1 && result.errors.contains("others keep changing it: try again"), "\(result)")
            // It is replaced between the read and the patch.
            let server = kubectl.server
            server.admit { _ in
                server.delete("web-0")
                server.put("web-0")
                return nil
            }
            let late = try await kubectl("on", "web-0")
            #expect(late.code == 1 && late.errors.contains("it was deleted meanwhile"), "\(late)")
            #expect(!server.hasLabel("web-0"))
            // Its bypass has ended with it.
            let off = try await kubectl("off", "web-0")
            #expect(off.code == 0 && off.output == "default/web-0: deleted\n", "\(off)")
        }
    }

    @Test("At a terminal it waits by itself, and shows for what")
    func terminal() async throws {
        try await Plugin.with { kubectl in
            kubectl.server.put("web-0")
            let controller = Task {
                while !kubectl.server.hasLabel("web-0") { try await Task.sleep(for: .milliseconds(5)) }
                try await Task.sleep(for: .milliseconds(300))
                kubectl.server.annotate("web-0", [Plugin.status: "on"])
            }
            let text = try await kubectl.atTerminal("on", "web-0")
            try await controller.value
            #expect(text.contains("waiting for web-0, 0s: no controller has reported on it\u{1B}[K"), "\(text)")
            #expect(text.contains("default/web-0: on\r\n"), "\(text)")
        }
    }
}
