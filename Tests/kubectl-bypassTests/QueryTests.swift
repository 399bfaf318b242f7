import ControllerTestSupport
import Linux
import MeshSandbox
import StrictJSON
import Testing

/// `kubectl bypass list` and `status`, and what the command line refuses.
@Suite(.timeLimit(.minutes(1))) struct QueryTests {
    private let bypassed: JSONValue = ["kmesh.net/bypass": "enabled"]

    private func fill(_ server: APIServer) {
        server.put(
            "web-0", labels: bypassed,
            annotations: [
                "kmesh.net/bypass-status": "on until 2036-11-26T16:00:00Z, not effective: redirect",
                "kmesh.net/bypass-reason": "INC-4711", "kmesh.net/bypass-by": "alice@example.org",
                "kmesh.net/bypass-since": "2026-11-01T10:00:00Z", "kmesh.net/bypass-ports": "8080",
            ])
        server.put("web-1")
        server.put("db-0", in: "shop", node: "node-b", labels: bypassed)
    }

    @Test("list shows who is outside the mesh, by pod, and where no controller answers")
    func list() async throws {
        try await Plugin.with { kubectl in
            #expect(try await kubectl("list").output == "no pod in namespace default is bypassed\n")
            fill(kubectl.server)
            let own = try await kubectl("list").output.split(separator: "\n").map {
                $0.split(separator: " ").map(String.init)
            }
            #expect(own.count == 2 && own[0] == ["POD", "STATUS", "SINCE", "LEFT", "BY", "REASON"])
            #expect(own[1].prefix(5) == ["web-0", "on,", "not", "effective:", "redirect"])
            #expect(own[1].suffix(2) == ["alice@example.org", "INC-4711"])
            let all = try await kubectl("list", "-A").output
            #expect(all.contains("shop"), "\(all)")
            #expect(
                all.contains("no controller has reported on some: does kmesh-bypass-controller run on node-b?\n"),
                "\(all)")
            let pods = try await kubectl("list", "-n", "default", "-o", "json").pods
            #expect(pods.count == 1)
            #expect(pods[0].text("state") == "not-effective" && pods[0]["effective"] == false)
            #expect(pods[0].text("until") == "2036-11-26T16:00:00Z" && pods[0].text("since") == "2026-11-01T10:00:00Z")
            #expect(pods[0].text("by") == "alice@example.org" && pods[0].text("ports") == "8080")
        }
    }

    @Test("status shows one pod, and says by its exit code whether the bypass has its effect")
    func status() async throws {
        try await Plugin.with { kubectl in
            fill(kubectl.server)
            let result = try await kubectl("status", "web-0")
            #expect(result.code == 2)
            for words in [
                "default/web-0 on node node-a", "not effective: redirect", "2036-11-26T16:00:00Z (in ", "ports 8080",
                "alice@example.org", "INC-4711",
            ] {
                #expect(result.output.contains(words), "\(result.output)")
            }
            let off = try await kubectl("status", "web-1")
            #expect(off.code == 0 && off.output.hasSuffix("status:  off\n"), "\(off)")
        }
    }

    @Test("A pod that does not exist, and what may be meant")
    func names() async throws {
        try await Plugin.with { kubectl in
            kubectl.server.put("web-7d9c5b6f4-x2x9p")
            kubectl.server.put("redis-0")
            var result = try await kubectl("on", "web")
            #expect(result.code == 1)
            #expect(
                result.errors.contains(
                    "there is no pod web in namespace default: did you mean 'web-7d9c5b6f4-x2x9p', or 'deploy/web'?"),
                "\(result)")
            result = try await kubectl("status", "redsi-0")
            #expect(result.errors.contains("did you mean 'redis-0'?"), "\(result)")
            result = try await kubectl("status", "deploy/web")
            #expect(result.errors.contains("there is no deployment web in namespace default"), "\(result)")
            result = try await kubectl("off", "-l", "app=none")
            #expect(result.code == 1 && result.errors.contains("no pod in namespace default has the labels app=none"))
        }
    }

    @Test("A missing permission is named, with what gives it")
    func permissions() async throws {
        try await Plugin.with { kubectl in
            kubectl.server.put("web-0")
            kubectl.server.allow(only: [.readPods])
            let patch = try await kubectl("on", "web-0")
            #expect(
                patch.code == 1
                    && patch.errors.contains(
                        "you may not patch pods in namespace default: a Role with verb patch on pods, bound to you, allows it"
                    ),
                "\(patch)")
            kubectl.server.allow(only: [])
            let list = try await kubectl("list", "-A")
            #expect(
                list.errors.contains("you may not list pods in all namespaces: a ClusterRole with verb list"), "\(list)"
            )
            kubectl.server.allow([])
            let login = try await kubectl("list")
            #expect(
                login.code == 1 && login.errors.contains("does not accept your credentials: log in again"), "\(login)")
        }
    }

    @Test(
        "A wrong command line says what is wrong",
        arguments: [
            (["on"], "name pods, or select them with --selector"),
            (["on", "web-0", "-l", "a=b"], "one of the two"),
            (["off", "web-0", "-A"], "--all-namespaces needs --selector"),
            (["on", "web-0", "--for", "soon"], #"--for is "soon": give seconds"#),
            (["on", "web-0", "--port", "80,x"], #"--port: "x""#),
            (["on", "web-0", "--direction", "up"], "--direction is"),
            (["status", "svc/web"], "svc/web"), (["status", "../x"], "../x"),
            (["list", "-n", "a/b"], "'a/b' is not the name"),
        ])
    func usage(_ words: [String], _ message: String) async throws {
        try await Plugin.with { kubectl in
            let result = try await kubectl.run(words)
            #expect(result.code == 64 && result.errors.contains(message), "\(result)")
            #expect(kubectl.server.requests.isEmpty)
        }
    }

    @Test(
        "kubectl's completion gets commands, options and names",
        arguments: [
            (["l"], "list :4"), (["on", "web-0", "--netw"], "--network :4"),
            (["on", "--direction", "i"], "inbound :4"),
            (["status", "web"], "web-0 web-1 :4"), (["off", "web"], "web-0 :4"),
            (["off", "-n", "shop", ""], "db-0 deploy/"),
            (["on", "dep"], "deploy/ :6"), (["on", "deploy/w"], "deploy/web :4"),
            (["on", "pod/web-1"], "pod/web-1 :4"),
            (["list", ""], ":4"), (["list", "--kubeconfig", ""], ":0"), (["on", "-n", ""], ":1"),
        ])
    func completion(_ words: [String], _ answer: String) async throws {
        try await Plugin.with { kubectl in
            fill(kubectl.server)
            kubectl.server.putDeployment("web", selector: [:])
            let text = try await kubectl.completing(words)
            #expect(text.split(separator: "\n").joined(separator: " ").hasPrefix(answer), "\(text)")
        }
    }

    @Test("The shells complete the program by its own name, too")
    func shells() async throws {
        try await Plugin.with { kubectl in
            fill(kubectl.server)
            let script = try await kubectl("--generate-completion-script", "bash", kubeconfig: false).output
            try Files.write(Array(script.utf8), to: kubectl.folder + "/script")
            let line = "kubectl-bypass off -n shop d"
            let words = [
                "source \(kubectl.folder)/script", "COMP_LINE='\(line)'", "COMP_POINT=\(line.utf8.count)",
                "COMP_WORDS=(\(line.replacing("kubectl-bypass", with: kubectl.program)))", "COMP_CWORD=4",
                "_kubectl-bypass \(kubectl.program) d shop", #"echo "${COMPREPLY[@]}""#,
            ]
            let environment = ["env", "KUBECONFIG=\(kubectl.folder)/config"]
            let found = try await Command.run(environment + ["bash", "-c", words.joined(separator: "\n")])
            #expect(found == "db-0 deploy/ ds/\n", "\(found)")
        }
    }

    @Test("A login plugin may ask at a terminal")
    func login() async throws {
        try await Plugin.with { kubectl in
            kubectl.server.put("web-0")
            let script = """
                #!/bin/sh
                printf 'password: ' >&2
                read -r token
                echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"'$token'"}}'
                """
            try Files.write(Array(script.utf8), to: kubectl.folder + "/login", mode: 0o755)
            let config = try Files.text(kubectl.folder + "/config").replacing(
                "token: alice",
                with: "exec: {apiVersion: client.authentication.k8s.io/v1, command: ./login, interactiveMode: Always}")
            try Files.write(Array(config.utf8), to: kubectl.folder + "/config")
            let text = try await kubectl.atTerminal("status", "web-0", input: "alice\n")
            #expect(text.contains("password: ") && text.contains("default/web-0"), "\(text)")
            let noTerminal = try await kubectl("status", "web-0")
            #expect(noTerminal.code == 1 && noTerminal.errors.contains("needs a terminal"), "\(noTerminal)")
        }
    }

    @Test("Without a kubeconfig, and with a context that there is not")
    func access() async throws {
        try await Plugin.with { kubectl in
            let result = try await kubectl("list", "--context", "there")
            #expect(
                result.code == 1 && result.errors.contains("the kubeconfig has no context there: it has here"),
                "\(result)")
            let version = try await kubectl("--version", kubeconfig: false)
            #expect(version.code == 0 && version.output.hasPrefix("kubectl-bypass "))
        }
    }
}
