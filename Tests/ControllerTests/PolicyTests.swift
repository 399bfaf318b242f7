import ControllerTestSupport
import Linux
import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension ControllerTests {
    /// The admission policies that `kmesh-bypassctl manifest` prints, in force at the API server.
    @Suite struct PolicyTests {
        private static let project = String(#filePath.dropLast("/Tests/ControllerTests/PolicyTests.swift".count))

        /// Has the API server decide about the controller's writes as the manifest's policies say.
        ///
        /// - Parameter node: the node in the controller's token.
        private func enforce(_ it: ControllerRig, node: String = ControllerRig.node) async throws {
            let python = Self.project + "/.build-cel/bin/python"
            guard Files.exists(python), let program = DaemonProcess.builtExecutable("kmesh-bypassctl") else {
                throw UnmetExpectation(description: "no evaluator of CEL is installed: Tests/run.sh does that")
            }
            let manifest = try await it.sandbox.run(["env", program, "manifest", "--gid", "999"], in: .host)
            let user: JSONValue = [
                "username": "system:serviceaccount:kmesh-system:bypass-controller",
                "extra": ["authentication.kubernetes.io/node-name": [.string(node)]],
            ]
            // Not the rig: it has the server.
            let sandbox = it.sandbox
            it.server.admit { review in
                let question: JSONValue = ["manifest": .string(manifest), "review": review.setting("userInfo", user)]
                let command = [
                    "env", python, Self.project + "/Tests/ControllerTestSupport/Admission/admission.py", "review",
                ]
                let answer = try await sandbox.run(command, in: .host, input: JSONEncoding.text(of: question))
                let denials = try JSONReader.read(Array(answer.utf8)).array ?? []
                return denials.first.map {
                    APIServer.Denial(403, $0["reason"]?.string ?? "", $0["message"]?.string ?? "")
                }
            }
        }

        @Test("Label, expiry and removal work with the policies, and so do all Events")
        func works() async throws {
            try await ControllerRig.with { it in
                try await enforce(it)
                try await it.start()
                it.server.label("web")
                try await it.becomes(.app)
                try await it.says("on")
                it.server.label("web", nil)
                try await it.says(nil)
                it.server.annotate("web", ["kmesh.net/bypass-ttl": "1s"])
                it.server.label("web")
                try await eventually("the label is gone: \(it.log)") { !it.server.hasLabel("web") }
                #expect(it.server.annotation("kmesh.net/bypass-status", of: "web")?.hasPrefix("expired") == true)
                try await it.hasEvent("BypassExpired")
                #expect(it.server.reasons(about: "web").contains("BypassDisabled"))
                // The status is removed, too.
                await it.kill(15)
                try await it.start(["--enable-bypass=false"])
                try await it.says(nil)
                #expect(!it.log.contains("denied request"), "\(it.log)")
            }
        }

        @Test("A token of another node cannot write, and the controller's log says why")
        func elsewhere() async throws {
            try await ControllerRig.with { it in
                try await enforce(it, node: "node-b")
                try await it.start()
                it.server.label("web")
                try await it.becomes(.app)
                try await eventually("it is logged: \(it.log)") {
                    it.log.contains("the pod is not on the node that this token was issued for")
                }
                #expect(it.server.annotation("kmesh.net/bypass-status", of: "web") == nil)
            }
        }
    }
}
