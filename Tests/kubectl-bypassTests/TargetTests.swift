import ControllerTestSupport
import StrictJSON
import Testing

/// Which pods `kubectl bypass` changes, and what it says of them.
@Suite(.timeLimit(.minutes(1))) struct TargetTests {
    private func end(_ server: APIServer, _ name: String, _ phase: JSONValue = "Succeeded") {
        server.patch(name, ["status": ["phase": phase]])
    }

    @Test("An empty selector, as of a variable that is not set, selects nothing")
    func emptySelector() async throws {
        try await Plugin.with { kubectl in
            kubectl.server.put("web-0", labels: ["kmesh.net/bypass": "enabled"])
            for words in [["on", "-l", ""], ["off", "-A", "-l", " "], ["status", "-l", ""]] {
                let result = try await kubectl.run(words)
                #expect(result.code == 64 && result.errors.contains("would select all pods"), "\(result)")
            }
            #expect(kubectl.server.requests.isEmpty)
            #expect(try await kubectl("list", "-l", "").output.contains("web-0"))
        }
    }

    @Test("Pods that have ended, or are being deleted, are left out, unless they are named")
    func ended() async throws {
        try await Plugin.with { kubectl in
            let server = kubectl.server
            for name in ["web-0", "web-1", "web-2", "web-3"] { server.put(name, labels: ["app": "web"]) }
            server.putDeployment("web", selector: ["matchLabels": ["app": "web"]])
            end(server, "web-0")
            // Evicted, and rolled out.
            end(server, "web-1", "Failed")
            server.patch("web-2", ["metadata": ["deletionTimestamp": "2026-01-01T00:00:00Z"]])
            for words in [["on", "deploy/web"], ["on", "-l", "app=web"]] {
                let result = try await kubectl.run(words)
                #expect(result.code == 0 && result.output == "default/web-3: bypass asked for\n", "\(result)")
            }
            #expect(!server.hasLabel("web-0") && !server.hasLabel("web-1") && !server.hasLabel("web-2"))
            var result = try await kubectl("on", "web-0")
            #expect(result.code == 1 && result.errors.contains("web-0: it has ended (Succeeded)"), "\(result)")
            result = try await kubectl("off", "-l", "app=web")
            #expect(result.code == 0 && result.output.split(separator: "\n").count == 4, "\(result)")
            end(server, "web-3")
            for words in [["on", "deploy/web"], ["on", "-l", "app=web"]] {
                result = try await kubectl.run(words)
                #expect(result.code == 1 && result.errors.contains("have ended, or are being deleted"), "\(result)")
            }
        }
    }

    @Test("A pod that ends while the command waits")
    func endsMeanwhile() async throws {
        try await Plugin.with { kubectl in
            kubectl.server.put("web-0")
            async let result = kubectl("on", "web-0", "--wait", "--timeout", "20s")
            while !kubectl.server.hasLabel("web-0") { try await Task.sleep(for: .milliseconds(5)) }
            end(kubectl.server, "web-0")
            let answer = try await result
            let words = "web-0: it has ended meanwhile (Succeeded)"
            #expect(answer.code == 1 && answer.errors.contains(words), "\(answer)")
        }
    }

    @Test("off fails where the controller says that the bypass stays on")
    func staysOn() async throws {
        try await Plugin.with { kubectl in
            kubectl.server.put("web-0", labels: ["kmesh.net/bypass": "enabled"], annotations: [Plugin.status: "on"])
            let status: JSONValue = "on, unchanged: the policy does not allow it"
            let result = try await kubectl.answering(status, whileLabelled: false) {
                try await kubectl("off", "web-0", "--wait", "--timeout", "20s")
            }
            #expect(result.code == 1 && result.errors.contains("on, unchanged: the policy"), "\(result)")
        }
    }

    @Test(
        "status says by its exit code whether connections still go to the sidecar that were to bypass it",
        arguments: [
            ("on", 0), ("on, nothing to bypass", 0), ("on, unchanged: x", 0), ("refused: x", 2), ("failed: x", 2),
            ("waiting: x; until 2036-11-26T16:00:00Z", 2),
        ] as [(String, Int32)])
    func exitCode(_ status: String, _ code: Int32) async throws {
        try await Plugin.with { kubectl in
            let annotations: JSONValue = [Plugin.status: .string(status)]
            kubectl.server.put("web-0", labels: ["kmesh.net/bypass": "enabled"], annotations: annotations)
            let labelled = try await kubectl("status", "web-0")
            #expect(labelled.code == code, "\(labelled)")
            // What is left from before counts for nothing.
            kubectl.server.label("web-0", nil)
            let other = try await kubectl("status", "web-0")
            #expect(other.code == 0, "\(other)")
        }
    }

    @Test("A server that is busy is asked again when it says so")
    func busy() async throws {
        try await Plugin.with { kubectl in
            kubectl.server.put("web-0", labels: ["kmesh.net/bypass": "enabled"])
            kubectl.server.fail(.statusWithRetry(429, seconds: 1)) { $0.verb == "GET" }
            let result = try await kubectl("list")
            #expect(result.code == 0 && result.output.contains("web-0"), "\(result)")
        }
    }

    @Test(
        "A target that is not one says what it may be",
        arguments: [
            (["on", "shop/web-0"], "a namespace goes after -n"),
            (["off", "a/b/c"], "a pod's name, or KIND/NAME"), (["status", "Web-0"], "a pod's name, or KIND/NAME"),
            (["off", "web-0", "--timeout", "soon"], "such as 15m or 1h30m"),
        ])
    func malformed(_ words: [String], _ message: String) async throws {
        try await Plugin.with { kubectl in
            let result = try await kubectl.run(words)
            #expect(result.code == 64 && result.errors.contains(message), "\(result)")
        }
    }
}
