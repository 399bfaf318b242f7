package import MeshSandbox
internal import NIOPosix
internal import StrictJSON
internal import Synchronization

/// A sandbox, and a daemon with a socket, a BPF file system and a state folder of its own.
package final class Rig: Sendable {
    package let sandbox: MeshSandbox
    /// For sockets, state and whatever a test needs files for.
    package let folder: TemporaryFolder
    /// The daemon's program.
    package let executable: String
    /// How the daemon is started.
    package let options: DaemonProcess.Options
    private let current = Mutex<DaemonProcess?>(nil)
    private let isBroken = Atomic(false)

    /// The client's program, which is built beside the daemon. A folder on the way may have the daemon's name as well.
    package var controlTool: String { String(executable.dropLast("kmesh-bypassd".count)) + "kmesh-bypassctl" }

    /// The path that rules name.
    package var pin: String { options.bpffs + "/bypass" }
    package var mapPin: String { options.bpffs + "/bypassed_netns" }
    package var socket: String { options.socket }
    /// What says who may do what; never the machine's own.
    package var policyFile: String { options.arguments[1] }

    private init(
        _ sandbox: MeshSandbox, _ folder: TemporaryFolder, _ bpffs: String, _ executable: String, _ arguments: [String]
    ) {
        self.sandbox = sandbox
        self.folder = folder
        self.executable = executable
        options = DaemonProcess.Options(
            executable: executable, launcher: UnitCapabilities.launcher, socket: folder.path + "/socket", bpffs: bpffs,
            stateDirectory: folder.path + "/state",
            arguments: ["--policy", folder.path + "/bypassd.toml"] + arguments)
    }

    /// Makes a rig for the time that `body` runs, with the daemon running. Afterwards nothing is left of it, and no
    /// descriptor is open in this process that was not before.
    ///
    /// - Parameter arguments: more for the daemon.
    package static func with<Result>(
        _ arguments: [String] = [], _ body: (Rig) async throws -> Result
    ) async throws -> Result {
        try await withoutDaemon(arguments) { rig in
            try await rig.start()
            return try await body(rig)
        }
    }

    /// The same, with a daemon once the body starts one.
    package static func withoutDaemon<Result>(
        _ arguments: [String] = [], _ body: (Rig) async throws -> Result
    ) async throws -> Result {
        let executable = try Requirements.check()
        return try await lock.run {
            if isCold.load(ordering: .relaxed) { try await warmUp(executable) }
            let before = try Descriptors.open()
            let result = try await make(executable, arguments, body)
            // What the daemon's end sets free is closed by threads of its own.
            var left: [Int32: String] = [:]
            try await eventually("the test's own descriptors are closed again: \(left)") {
                left = try Descriptors.opened(since: before)
                return left.isEmpty
            }
            return result
        }
    }

    private static func make<Result>(
        _ executable: String, _ arguments: [String], _ body: (Rig) async throws -> Result
    ) async throws -> Result {
        try await TemporaryFolder.with("kmesh-test") { folder in
            try await BPFFileSystem.with { bpffs in
                try await MeshSandbox.with { sandbox in
                    let rig = Rig(sandbox, folder, bpffs.path, executable, arguments)
                    try await rig.write(policy: builtInPolicy)
                    return try await scoped {
                        let result = try await body(rig)
                        try await rig.checkNothingIsLeft()
                        return result
                    } cleanUp: {
                        // One that is stopped takes no other signal.
                        rig.current.withLock(\.self)?.kill(9)
                        _ = try? await rig.current.withLock(\.self)?.exit()
                    }
                }
            }
        }
    }

    /// What the built-in policy says, as a file: the machine's own is not a test's.
    private static let builtInPolicy = "[[grant]]\ngroups = [\"kmesh\"]\nrole = \"bypass\"\n"

    /// Whatever a test did: once every bypass has ended, no trace of it is left.
    private func checkNothingIsLeft() async throws {
        guard let daemon = current.withLock(\.self), isBroken.load(ordering: .relaxed) == false else { return }
        daemon.kill(18)  // SIGCONT
        if (try? await daemon.call(#"{"jsonrpc":"2.0","id":1,"method":"info"}"#)) == nil {
            daemon.kill(9)
            _ = try? await daemon.exit()
            try await start()
        }
        let cleared = try await call("clear")
        var left = cleared.object?["failed"]?.array?.map { "still bypassed: \($0)" } ?? []
        for place in [sandbox.pod, sandbox.peer] {
            left += try await Leftovers.scan(place).map { "in \(place): \($0)" }
        }
        if try await entries != 0 {
            left.append(try await sandbox.run(["bpftool", "map", "dump", "pinned", mapPin], in: .host))
        }
        left += try recordedInodes().map { "a record of namespace \($0)" }
        if !left.isEmpty { throw LeftBehind(description: "left behind by the daemon: \(left.joined(separator: "; "))") }
    }

    private struct LeftBehind: Error, CustomStringConvertible {
        let description: String
    }

    /// Kills the daemon and removes its pins and its records: only the rules stay.
    package func killAndLoseState() async throws {
        try daemon.kill(9)
        _ = try await daemon.exit()
        try await sandbox.run(["rm", "-r", pin, mapPin, options.stateDirectory], in: .host)
    }

    /// Skips the check for leftovers at the end: for a test that leaves some on purpose, or leaves nothing to check with.
    package func skipLeftoverCheck() { isBroken.store(true, ordering: .relaxed) }

    private static let lock = AsyncLock()
    private static let isCold = Atomic(true)

    /// What stays open for the life of the process is opened before anything is counted.
    private static func warmUp(_ executable: String) async throws {
        try await MeshSandbox.warmUp()
        try await make(executable, []) { rig in
            try await rig.start()
            _ = try await rig.status()
            try await Requirements.check(rig.sandbox)
        }
        isCold.store(false, ordering: .relaxed)
    }

    /// The daemon that was started last.
    package var daemon: DaemonProcess {
        get throws {
            guard let daemon = current.withLock(\.self) else { throw UnmetExpectation(description: "no daemon runs") }
            return daemon
        }
    }

    /// Starts the daemon, and waits until it answers.
    ///
    /// - Parameters:
    ///   - more: arguments for this time.
    ///   - launcher: what starts it, if not with the unit's capabilities.
    ///   - environment: variables, besides those of the test.
    package func start(
        _ more: [String] = [], launcher: [String]? = nil, environment: [String: String] = [:]
    ) async throws {
        var options = options
        options.launcher = launcher ?? options.launcher
        options.arguments += more
        options.environment = environment
        let daemon = try await DaemonProcess.start(options)
        current.withLock { $0 = daemon }
    }
}

extension DaemonProcess {
    /// Waits for the end of the scan for leftovers that follows each start, beside the calls.
    package func searchForLeftovers() async throws {
        try await eventually("it has searched") { standardError.contains("searched for orphaned rules") }
    }
}

extension Rig {
    /// Arguments of a daemon that repairs nothing without being asked: for tests of what is until then.
    package static let unattended = ["--check-interval", "86400"]
}

extension Descriptors {
    /// What is open now and was not in `before`; an empty result is what a test wants. Call `MeshSandbox.warmUp` before
    /// the first census.
    package static func opened(since before: [Int32: String]) throws -> [Int32: String] {
        try open().filter { before[$0.key] != $0.value }
    }
}

extension MeshSandbox {
    /// Opens what stays open for the life of the process however often a sandbox is made: the descriptors by which
    /// swift-subprocess watches its children, and the original namespace's.
    package static func warmUp() async throws {
        try await with { sandbox in _ = try await sandbox.whoAnswers(.outbound, .ipv4) }
        // The event loops of the client library's connections live as long as the process.
        _ = MultiThreadedEventLoopGroup.singleton.next()
    }
}
