internal import Glibc
internal import Linux

/// A running kmesh-bypassd, for tests and the demo.
package final class DaemonProcess: Sendable {
    /// The options of its start.
    package struct Options: Hashable, Sendable {
        /// The program; nil for the one that was built with the calling program.
        package var executable: String?
        /// A program, by its path, and its arguments, that starts the daemon in its own place, such as setpriv(1); or nothing.
        package var launcher: [String]
        package var socket: String
        /// The folder of its pins: a mounted BPF file system.
        package var bpffs: String
        package var stateDirectory: String
        package var logLevel: String
        /// What follows the arguments that the other options make.
        package var arguments: [String]
        /// Variables that it has besides the caller's.
        package var environment: [String: String]

        package init(
            executable: String? = nil, launcher: [String] = [], socket: String, bpffs: String, stateDirectory: String,
            logLevel: String = "debug", arguments: [String] = [], environment: [String: String] = [:]
        ) {
            self.executable = executable
            self.launcher = launcher
            self.socket = socket
            self.bpffs = bpffs
            self.stateDirectory = stateDirectory
            self.logLevel = logLevel
            self.arguments = arguments
            self.environment = environment
        }
    }

    /// Its end.
    package enum Exit: Hashable, Sendable {
        case code(Int32)
        case signal(Int32)
    }

    /// It ended, or stayed silent, instead of serving its socket.
    package struct NotServing: Error, Hashable, Sendable, CustomStringConvertible {
        package let reason: String
        package let standardError: String

        package var description: String { "\(reason): \(standardError)" }
    }

    package let pid: Int32
    package let socket: String
    private let child: Child

    private init(pid: Int32, socket: String, child: Child) {
        self.pid = pid
        self.socket = socket
        self.child = child
    }

    /// Starts the daemon and waits until it answers.
    ///
    /// A daemon that is not terminated is killed when the last reference to it goes.
    ///
    /// - Throws: `NotServing` if it ends first, or has not answered after 10 seconds.
    package static func start(_ options: Options) async throws -> DaemonProcess {
        guard let executable = options.executable ?? builtExecutable() else {
            throw NotServing(reason: "kmesh-bypassd is not built", standardError: "")
        }
        let command =
            options.launcher + [
                executable, "--socket", options.socket, "--bpffs", options.bpffs, "--state-dir",
                options.stateDirectory, "--log-level", options.logLevel,
            ] + options.arguments
        let child = try Child(
            executable: command[0], arguments: Array(command.dropFirst()), environment: options.environment)
        let daemon = DaemonProcess(pid: try await child.pid(), socket: options.socket, child: child)
        do {
            try await daemon.waitUntilServing()
        } catch {
            child.signal(SIGKILL)
            _ = try? await child.exit()
            throw error
        }
        return daemon
    }

    /// Sends one line over a connection of its own and returns the line that comes back.
    package func call(_ line: String) async throws -> String {
        try await Threads.run { [socket] in try BlockingSocket(connectingTo: socket).exchange(line) }
    }

    /// SIGTERM, and SIGKILL if it has not ended 10 seconds later.
    package func terminate() async throws -> Exit {
        child.signal(SIGTERM)
        let deadline = Task { [child] in
            try await Task.sleep(for: .seconds(10))
            child.signal(SIGKILL)
        }
        defer { deadline.cancel() }
        return try await child.exit()
    }

    /// Sends a signal; nothing happens if the daemon has ended.
    package func kill(_ signal: Int32) {
        child.signal(signal)
    }

    /// Waits for its end.
    package func exit() async throws -> Exit {
        try await child.exit()
    }

    /// Its output on standard error up to now.
    package var standardError: String { child.standardError }

    /// The built program of that name: the file beside the running program, where packages and SwiftPM put it, or in the
    /// build folder of the package in the working directory.
    package static func builtExecutable(_ name: String = "kmesh-bypassd") -> String? {
        let own = Links.target(of: "/proc/self/exe").map { String($0[...($0.lastIndex(of: "/") ?? $0.startIndex)]) }
        return [own, ".build/debug/", ".build/release/"].lazy.compactMap { $0.map { $0 + name } }
            .first(where: Files.exists)
    }

    private func waitUntilServing() async throws {
        let deadline = ContinuousClock.now + .seconds(10)
        while true {
            do {
                _ = try await call(#"{"jsonrpc":"2.0","id":1,"method":"info"}"#)
                return
            } catch let error as SystemCallError {
                if child.hasEnded {
                    throw NotServing(reason: "kmesh-bypassd: \(try await exit())", standardError: standardError)
                }
                if ContinuousClock.now > deadline {
                    throw NotServing(reason: "kmesh-bypassd: \(error)", standardError: standardError)
                }
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}

enum Links {
    /// nil if there is no link at `path`.
    static func target(of path: String) -> String? {
        var target = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = unsafe target.withUnsafeMutableBytes {
            unsafe readlink(path, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
        }
        return count < 0 ? nil : String(decoding: target[..<count], as: UTF8.self)
    }
}
