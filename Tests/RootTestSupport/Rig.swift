internal import StrictJSON
internal import Synchronization
public import Testbed

/// A testbed, and a daemon with a socket, a BPF file system and a state folder of its own.
public final class Rig: Sendable {
    public let testbed: Testbed
    /// For sockets, state and whatever a test needs files for.
    public let folder: TemporaryFolder
    /// The daemon's program.
    public let executable: String
    /// How the daemon is started.
    public let options: DaemonProcess.Options
    private let current = Mutex<DaemonProcess?>(nil)
    private let isBroken = Atomic(false)

    /// The path that rules name.
    public var pin: String { options.bpffs + "/bypass" }
    public var mapPin: String { options.bpffs + "/bypassed_netns" }
    public var socket: String { options.socket }
    /// What says who may do what, if a test writes it; never the machine's own.
    public var policyFile: String { options.arguments[1] }

    private init(
        _ testbed: Testbed, _ folder: TemporaryFolder, _ bpffs: String, _ executable: String, _ arguments: [String]
    ) {
        self.testbed = testbed
        self.folder = folder
        self.executable = executable
        options = DaemonProcess.Options(
            executable: executable, socket: folder.path + "/socket", bpffs: bpffs,
            stateDirectory: folder.path + "/state",
            arguments: ["--policy", folder.path + "/bypassd.toml"] + arguments)
    }

    /// Makes a rig for the time that `body` runs, with the daemon running. Afterwards nothing is left of it, and no
    /// descriptor is open in this process that was not before.
    ///
    /// - Parameter arguments: more for the daemon.
    public static func with<Result>(
        _ arguments: [String] = [], _ body: (Rig) async throws -> Result
    ) async throws -> Result {
        try await withoutDaemon(arguments) { rig in
            try await rig.start()
            return try await body(rig)
        }
    }

    /// The same, with a daemon once the body starts one.
    public static func withoutDaemon<Result>(
        _ arguments: [String] = [], _ body: (Rig) async throws -> Result
    ) async throws -> Result {
        let executable = try Equipment.check()
        return try await gate.run {
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
                try await Testbed.with { testbed in
                    let rig = Rig(testbed, folder, bpffs.path, executable, arguments)
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

    /// Whatever a test did: once every bypass is ended, nothing tells that there was one.
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
        for place in [testbed.pod, testbed.peer] {
            left += try await Residue.scan(place).map { "in \(place): \($0)" }
        }
        if try await entries != 0 {
            left.append(try await testbed.run(["bpftool", "map", "dump", "pinned", mapPin], in: .host))
        }
        left += try recordedInodes().map { "a record of namespace \($0)" }
        if !left.isEmpty { throw Leftovers(description: "left behind by the daemon: \(left.joined(separator: "; "))") }
    }

    private struct Leftovers: Error, CustomStringConvertible {
        let description: String
    }

    /// Kills the daemon and takes away all that is left to know of its bypasses: the rules stay, and nobody knows of them.
    public func loseEverything() async throws {
        try daemon.kill(9)
        _ = try await daemon.exit()
        try await testbed.run(["rm", "-r", pin, mapPin, options.stateDirectory], in: .host)
    }

    /// Has the look for leftovers at the end left out: of a test that leaves some on purpose, or leaves nothing to look
    /// with.
    public func leavesThingsBroken() { isBroken.store(true, ordering: .relaxed) }

    private static let gate = Gate()
    private static let isCold = Atomic(true)

    /// What stays open for the life of the process is opened before anything is counted.
    private static func warmUp(_ executable: String) async throws {
        try await Testbed.warmUp()
        try await make(executable, []) { rig in
            try await rig.start()
            _ = try await rig.status()
            try await Equipment.check(rig.testbed)
        }
        isCold.store(false, ordering: .relaxed)
    }

    /// The daemon that was started last.
    public var daemon: DaemonProcess {
        get throws {
            guard let daemon = current.withLock(\.self) else { throw NeverHappened(description: "no daemon runs") }
            return daemon
        }
    }

    /// Starts the daemon, and waits until it answers.
    ///
    /// - Parameters:
    ///   - more: arguments for this time.
    ///   - environment: variables, besides those of the test.
    public func start(_ more: [String] = [], environment: [String: String] = [:]) async throws {
        var options = options
        options.arguments += more
        options.environment = environment
        let daemon = try await DaemonProcess.start(options)
        current.withLock { $0 = daemon }
    }
}

extension DaemonProcess {
    /// Waits for the end of the look that follows each start, beside the calls.
    public func searchForLeftovers() async throws {
        try await eventually("it has searched") { standardError.contains("searched for leftovers") }
    }
}

extension Rig {
    /// Arguments of a daemon that repairs nothing without being asked: for tests of what is until then.
    public static let unattended = ["--check-interval", "86400"]
}
