internal import Glibc
internal import Linux
internal import Subprocess
internal import Synchronization
internal import SystemPackage

/// A process started by this one, which can be signalled for as long as the number is surely its own.
package final class Child: Sendable {
    private let log: SharedDescriptor
    private let process: RunningProcess
    private let task: Task<DaemonProcess.Exit, any Error>

    /// - Parameter environment: variables that it has besides this process's.
    package init(executable: String, arguments: [String], environment: [String: String] = [:]) throws {
        let log = SharedDescriptor(OwnedDescriptor(adopting: try TemporaryFolder.unnamedFile().rawValue))
        let process = RunningProcess()
        self.log = log
        self.process = process
        // A group of its own: Ctrl-C at the terminal is for the demo, which ends the daemon when it is done with it.
        var options = PlatformOptions()
        options.processGroupID = 0
        var variables: [Subprocess.Environment.Key: String?] = [:]
        for (name, value) in environment {
            if let key = Subprocess.Environment.Key(rawValue: name) { variables[key] = value }
        }
        task = Task { [options, variables] in
            defer { process.ends() }
            let result = try await Subprocess.run(
                .path(FilePath(executable)), arguments: Arguments(arguments),
                environment: .inherit.updating(variables), platformOptions: options,
                input: .none, output: .sequence,
                error: .fileDescriptor(
                    FileDescriptor(rawValue: log.descriptor.rawValue), closeAfterSpawningProcess: false)
            ) { execution in
                process.begins(execution.processIdentifier.value)
                // The process is not waited for before this closure returns, so until then its number is not given to
                // another. Standard output ends with the process; nothing is expected there.
                defer { process.ends() }
                for try await _ in execution.standardOutput {}
            }
            switch result.terminationStatus {
            case .exited(let code): return .code(code)
            case .signaled(let signal): return .signal(signal)
            }
        }
    }

    deinit {
        // Ends the process by SIGKILL, if there still is one.
        task.cancel()
    }

    /// Its number, once it is started.
    package func pid() async throws -> Int32 {
        for await pid in process.started { return pid }
        // Not started, and the task has the error; or the caller was cancelled, and gets no reference to the process.
        task.cancel()
        _ = try await task.value
        throw CancellationError()
    }

    package var hasEnded: Bool { process.hasEnded }

    package func signal(_ number: Int32) {
        process.signal(number)
    }

    package func exit() async throws -> DaemonProcess.Exit {
        try await task.value
    }

    /// Standard error goes to a file and not through a pipe: it needs no reader, and nothing is lost when the process ends
    /// at once.
    package var standardError: String {
        let file = FileDescriptor(rawValue: log.descriptor.rawValue)
        var contents: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16384)
        while let count = try? unsafe chunk.withUnsafeMutableBytes({
            try unsafe file.read(fromAbsoluteOffset: Int64(contents.count), into: $0)
        }), count > 0 {
            contents += chunk[..<count]
        }
        return String(decoding: contents, as: UTF8.self)
    }
}

/// The number of a process, for as long as it is that process's.
private final class RunningProcess: Sendable {
    private enum State {
        case starting
        case running(Int32)
        case ended
    }

    private let state = Mutex(State.starting)
    private let announcement: AsyncStream<Int32>.Continuation
    /// The number, as soon as there is one; ends without one if the process cannot be started.
    let started: AsyncStream<Int32>

    init() {
        (started, announcement) = AsyncStream.makeStream()
    }

    func begins(_ pid: Int32) {
        state.withLock { $0 = .running(pid) }
        announcement.yield(pid)
    }

    func ends() {
        state.withLock { $0 = .ended }
        announcement.finish()
    }

    var hasEnded: Bool {
        state.withLock { if case .ended = $0 { true } else { false } }
    }

    /// Under the lock, so that the process is not waited for between the question and the signal.
    func signal(_ number: Int32) {
        state.withLock { if case .running(let pid) = $0 { _ = Glibc.kill(pid, number) } }
    }
}
