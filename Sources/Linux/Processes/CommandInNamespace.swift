internal import CLinux
internal import Glibc
internal import SystemPackage

/// A command in a network namespace, for the command line tools: the daemon executes no program.
package final class CommandInNamespace: Sendable {
    /// The step that failed before it ran.
    package enum Failure: Error, Hashable, Sendable {
        /// The process or its control group.
        case start(SystemCallError)
        /// The network namespace.
        case entering(SystemCallError)
        case user(SystemCallError)
        case execution(SystemCallError)
    }

    private let words: [String]
    private let namespace: NetworkNamespace
    private let group: CommandCgroup?
    private let user: UserDatabase.User?
    private let channel: SharedDescriptor?
    private let passesSignals: Bool

    /// - Parameters:
    ///   - words: the program, looked up in PATH, and its arguments. No shell sees them.
    ///   - group: nil for the caller's.
    ///   - user: nil for the caller's.
    ///   - channel: what becomes its standard input and output; nil for the caller's.
    ///   - passingSignals: whether it gets the signals that other processes send to the caller.
    package init(
        _ words: [String], in namespace: consuming NetworkNamespace, group: CommandCgroup? = nil,
        as user: UserDatabase.User? = nil, channel: SharedDescriptor? = nil, passingSignals: Bool = false
    ) {
        self.words = words
        self.namespace = namespace
        self.group = group
        self.user = user
        self.channel = channel
        passesSignals = passingSignals
    }

    /// Runs it to its end. If the caller is killed meanwhile, so is the command.
    ///
    /// - Returns: how it has ended, as a shell has it: 128 and the number of the signal that has ended it.
    package func run() async throws -> Int32 {
        // The kernel kills the command when the thread ends that has started it, so that thread waits for it.
        try await withCheckedThrowingContinuation { continuation in
            do throws(SystemCallError) {
                try Thread.start("command") { continuation.resume(with: Result(catching: self.runOnThread)) }
            } catch {
                continuation.resume(throwing: Failure.start(error))
            }
        }
    }

    private func runOnThread() throws(Failure) -> Int32 {
        let groups = user.map(UserDatabase.groups) ?? []
        var pointers = unsafe words.map { unsafe strdup($0) } + [nil]
        defer { while let pointer = unsafe pointers.popLast() { unsafe free(pointer) } }
        var status: CInt = 0
        let step = unsafe groups.withUnsafeBufferPointer { groups in
            unsafe pointers.withUnsafeMutableBufferPointer { pointers in
                var command = unsafe clinux_command()
                unsafe command.arguments = UnsafePointer(pointers.baseAddress)
                unsafe command.network = namespace.descriptor.rawValue
                unsafe command.group = group?.processes.rawValue ?? -1
                unsafe command.channel = channel?.descriptor.rawValue ?? -1
                unsafe command.passes_signals = passesSignals ? 1 : 0
                unsafe command.has_user = user == nil ? 0 : 1
                unsafe command.uid = user?.uid ?? 0
                unsafe command.gid = user?.gid ?? 0
                unsafe command.group_count = UInt32(groups.count)
                unsafe command.groups = groups.baseAddress
                return unsafe clinux_run(&command, &status)
            }
        }
        let errno = Errno.current
        switch step {
        case CLINUX_STEP_NONE: return status
        case CLINUX_STEP_GROUP: throw .start(SystemCallError("entering the control group", errno))
        case CLINUX_STEP_NETWORK: throw .entering(SystemCallError("setns", errno))
        case CLINUX_STEP_USER: throw .user(SystemCallError("becoming user \(user?.name ?? "")", errno))
        case CLINUX_STEP_EXECUTE: throw .execution(SystemCallError(words[0], errno))
        default: throw .start(SystemCallError("starting \(words[0])", errno))
        }
    }
}
