import ControllerTestSupport
import Linux
import MeshSandbox
import StrictJSON
import Synchronization
import TestSupport

/// A complete node, real but for the API server: a daemon, a pod with a sidecar whose processes are in cgroups like the
/// kubelet's, and a controller that runs as an unprivileged user.
final class ControllerRig: Sendable {
    let rig: Rig
    let server: APIServer
    let user: User
    /// The UID in the name of the pod's cgroup.
    let uid: String
    /// The controller that was started last.
    private let running = Mutex<Child?>(nil)
    /// Its process ID.
    private let pid = Mutex<Int32>(0)

    static let node = "node-a"
    static let token = "the-token"

    private init(_ rig: Rig, _ server: APIServer, _ user: User, _ uid: String) {
        self.rig = rig
        self.server = server
        self.user = user
        self.uid = uid
    }

    var sandbox: MeshSandbox { rig.sandbox }
    var folder: String { rig.folder.path }

    /// Starts daemon and API server; the pod is in the API server and has no label.
    static func with(
        _ driver: PodGroup.Driver = .cgroupfs, _ version: PodGroup.Version = .two,
        _ body: (ControllerRig) async throws -> Void
    ) async throws {
        try await Rig.withoutDaemon { rig in
            try await rig.withUsers(operators: ["controller"]) { users in
                guard let user = users["controller"] else { throw UnmetExpectation(description: "no user") }
                try await rig.start()
                try await rig.openSocket()
                try await APIServer.with(tls: TestCertificates.serverConfiguration(requiresClientCertificate: false)) {
                    server in
                    server.allow([token])
                    try await rig.sandbox.install(.iptables)
                    try await PodGroup.with(driver, version, rig.sandbox) { group in
                        try await rig.sandbox.withProcess(in: .pod) { pid in
                            try await group.add(pid)
                            server.put("web", uid: group.uid, addresses: ["10.89.0.1", "fd89::1"])
                            try await ControllerRig(rig, server, user, group.uid).run(body)
                        }
                    }
                }
            }
        }
    }

    private func run(_ body: (ControllerRig) async throws -> Void) async throws {
        guard let built = DaemonProcess.builtExecutable("kmesh-bypass-controller") else {
            throw UnmetExpectation(description: "the controller is not built")
        }
        // The user has access to this directory, wherever the project is.
        try await sandbox.run(["touch", program], in: .host)
        try await sandbox.run(["mount", "--bind", built, program], in: .host)
        try await scoped {
            try await body(self)
        } cleanUp: {
            await kill(9)
            // The kernel releases the executable a moment after the process has ended.
            try await eventually("the program is unmounted") {
                try await sandbox.result(of: ["umount", program]).code == 0
            }
        }
    }

    private var program: String { folder + "/kmesh-bypass-controller" }

    // MARK: the controller

    /// The kubeconfig of the controller and of `kubectl`.
    private var kubeconfig: String {
        """
        apiVersion: v1
        kind: Config
        current-context: here
        contexts: [{name: here, context: {cluster: here, user: me}}]
        clusters:
        - name: here
          cluster: {server: "\(server.url)", certificate-authority: ca.pem, tls-server-name: kubernetes}
        users: [{name: me, user: {token: \(Self.token)}}]
        """
    }

    /// Starts the controller, and waits until it is ready.
    ///
    /// - Parameter other: a kubeconfig of an API server other than the rig's.
    func start(
        _ arguments: [String] = ["--enable-bypass=true"], waits: Bool = true, kubeconfig other: String? = nil
    ) async throws {
        try Files.write(Array((other ?? kubeconfig).utf8), to: folder + "/kubeconfig", mode: 0o644)
        try writeAuthority()
        let child = try Child(
            executable: "/usr/bin/setpriv",
            arguments: [
                "--reuid", user.name, "--regid", user.name, "--init-groups", "--no-new-privs", "--inh-caps=-all", "--",
                program, "--node-name", Self.node, "--socket", rig.socket, "--kubeconfig", folder + "/kubeconfig",
                "--health-address", health, "--log-level", "debug",
            ] + arguments)
        running.withLock { $0 = child }
        let number = try await child.pid()
        pid.withLock { $0 = number }
        guard waits else { return }
        try await eventually("the controller is ready: \(child.standardError)") {
            try await self.probe("readyz").code == 0
        }
    }

    /// Whether the API server's certificate is signed by the second authority.
    private let hasSecondAuthority = Mutex(false)

    /// Changes the API server's certificate; the controller's file keeps the other authority until it is written.
    func changeCertificate() throws {
        let isSecond = hasSecondAuthority.withLock { isSecond in
            isSecond.toggle()
            return isSecond
        }
        try server.setCertificate(
            TestCertificates.serverConfiguration(requiresClientCertificate: false, bySecond: isSecond))
    }

    /// Writes the authority that has signed the API server's certificate into the file that the controller reads.
    func writeAuthority() throws {
        let isSecond = hasSecondAuthority.withLock(\.self)
        try Files.write(
            isSecond ? TestCertificates.secondAuthority : TestCertificates.authority, to: folder + "/ca.pem",
            mode: 0o644)
    }

    /// A port that only this test uses, derived from its namespaces' names.
    var healthPort: Int { 20000 + (Int(sandbox.pod.filter(\.isNumber)) ?? 0) % 12000 }
    var health: String { "127.0.0.1:\(healthPort)" }

    func probe(_ page: String) async throws -> CommandResult {
        try await sandbox.result(of: [program, "probe", page, "--health-address", health])
    }

    /// Runs the controller until it exits, with an empty environment.
    func ending(_ arguments: [String]) async throws -> CommandResult {
        try await sandbox.result(of: ["env", "--ignore-environment", program] + arguments)
    }

    /// Ends the controller, if it is running; its log stays readable until the next start.
    @discardableResult
    func kill(_ signal: Int32) async -> DaemonProcess.Exit? {
        guard let child = running.withLock(\.self) else { return nil }
        child.signal(signal)
        return try? await child.exit()
    }

    /// Its present use of resources.
    var usage: ProcessUsage { get throws { try ProcessUsage(pid: pid.withLock(\.self)) } }

    /// Lines of /proc/PID/status, by name.
    var processStatus: [String: String] {
        get throws {
            let lines = try Files.text("/proc/\(pid.withLock(\.self))/status").split(separator: "\n")
            let pairs = lines.map { $0.split(separator: "\t").map(String.init) }
            return Dictionary(pairs.map { ($0[0], $0.count > 1 ? $0[1] : "") }) { first, _ in first }
        }
    }

    func restart() async throws {
        await kill(15)
        try await start()
    }

    var log: String { running.withLock(\.self)?.standardError ?? "" }

    // MARK: the daemon

    func restartDaemon() async throws {
        try rig.daemon.kill(9)
        _ = try await rig.daemon.exit()
        try await rig.start()
        try await rig.openSocket()
    }

    /// Runs `kubectl` against the API server that the controller was started for.
    func kubectl(_ words: String..., input: String? = nil) async throws -> String {
        // The discovery cache is in the test's own directory.
        let options = ["--kubeconfig", folder + "/kubeconfig", "--cache-dir", folder + "/cache"]
        return try await sandbox.run(["kubectl"] + options + words, in: .host, input: input)
    }

    /// Runs `kubectl bypass` with the built plugin.
    func kubectlBypass(_ words: String...) async throws -> CommandResult {
        guard let plugin = DaemonProcess.builtExecutable("kubectl-bypass") else {
            throw UnmetExpectation(description: "the plugin is not built")
        }
        let path = String(plugin.dropLast("/kubectl-bypass".count)) + ":/usr/local/bin:/usr/bin:/bin"
        let command = ["env", "PATH=" + path, "KUBECONFIG=" + folder + "/kubeconfig", "kubectl", "bypass"]
        return try await sandbox.result(of: command + words)
    }

    // MARK: expectations

    /// The owner of the pod's bypass.
    var owner: String { "kubernetes:default/web/\(uid)" }

    func becomes(
        _ ways: Paths, within limit: Duration = .seconds(10), _ why: String = ""
    ) async throws {
        try await eventually("connections go \(ways) \(why) \(log)", within: limit) {
            try await self.sandbox.paths == ways
        }
    }

    /// Waits for the pod's annotation.
    func says(_ status: String?, within limit: Duration = .seconds(15), _ name: String = "web") async throws {
        try await eventually("the pod says \(status ?? "nothing"): \(log)", within: limit) {
            self.server.annotation("kmesh.net/bypass-status", of: name) == status
        }
    }

    func hasEvent(_ reason: String, _ name: String = "web") async throws {
        try await eventually("event \(reason): \(self.server.reasons(about: name))") {
            self.server.reasons(about: name).contains(reason)
        }
    }
}
