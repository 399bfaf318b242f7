internal import BypassAPI
internal import BypassPolicy
internal import Datapath
internal import Linux
internal import Logging
internal import SystemPackage

/// The conditions for the daemon to answer, each with its own exit status.
enum Startup {
    static func checkCapabilities() throws(StartError) {
        let held: Capabilities
        do throws(SystemCallError) {
            held = try Capabilities()
        } catch {
            throw StartError(error)
        }
        let needed: [Capabilities.Capability] = [.netAdmin, .sysAdmin, .bpf, .perfmon]
        let missing = needed.filter { !held.contains($0) }
        if missing.isEmpty { return }
        let names = missing.map(\.name).joined(separator: ", ")
        throw StartError(
            StartError.noPermission, "not permitted: \(names) missing: run as root, or under kmesh-bypassd.service")
    }

    /// The daemon reads with it one file that can belong to another user (`Files` in Linux). To be called before there is a
    /// second thread.
    static func lowerCapabilities() throws(StartError) {
        do throws(SystemCallError) {
            try Capabilities.lower(.dacReadSearch)
        } catch {
            throw StartError(error)
        }
    }

    static func checkOwnNamespace() throws(StartError) {
        do throws(SystemCallError) {
            try HostNamespace.check()
        } catch {
            throw StartError(error)
        }
    }

    /// Clients, and sockets that wait to be closed, may be more than the usual 1024.
    static func raiseDescriptorLimit() throws(StartError) {
        do throws(SystemCallError) {
            try DescriptorLimit.raise()
        } catch {
            throw StartError(error)
        }
    }

    static func readPolicy(
        _ path: String, accounts: AccountResolver, logger: Logger
    ) throws(StartError) -> PolicyStore {
        do throws(PolicyLoadingError) {
            return try PolicyStore(path: path, accounts: accounts, logger: logger)
        } catch {
            throw StartError(StartError.badPolicy, error.lines.joined(separator: "\n"))
        }
    }

    /// The socket that systemd passes, or else one of the daemon's own.
    static func takeSocket(
        _ configuration: Daemon.Configuration, accounts: AccountResolver
    ) throws(StartError) -> ServerSocket {
        do throws(UnixSocketError) {
            if let passed = try UnixSocket.passed() {
                return ServerSocket(path: passed.path, ownedBySystemd: passed.listener)
            }
            return try ServerSocket(path: configuration.socket, group: configuration.socketGroup, accounts)
        } catch {
            throw StartError(error)
        }
    }

    static func beginLoadingMatcher(_ folder: String) throws(StartError) -> MatcherLoading {
        do throws(SystemCallError) {
            return try MatcherLoading(folder)
        } catch {
            throw StartError(error)
        }
    }

    static func openStore(_ folder: String) throws(StartError) -> BypassStore {
        do throws(SystemCallError) {
            return try BypassStore(folder: folder)
        } catch {
            throw StartError(error)
        }
    }

    static func makeQueue(_ name: String, threads: Int = 1) throws(StartError) -> WorkQueue {
        do throws(SystemCallError) {
            return try WorkQueue(name, threads: threads)
        } catch {
            throw StartError(error)
        }
    }

    static func makeCloser() throws(StartError) -> DeferredCloser {
        do throws(SystemCallError) {
            return try DeferredCloser()
        } catch {
            throw StartError(error)
        }
    }

    static func makeMaskWatch(queue: WorkQueue, logger: Logger) throws(StartError) -> MaskWatch {
        do throws(SystemCallError) {
            return try MaskWatch(queue: queue, logger: logger)
        } catch {
            throw StartError(error)
        }
    }

    /// As `uname -r` prints it.
    static func kernelRelease() -> String {
        String(((try? Files.text("/proc/sys/kernel/osrelease")) ?? "unknown").prefix { $0 != "\n" })
    }
}

/// The matcher while it is being loaded, on a thread of its own: that takes most of the time of a start, and looking up
/// accounts for the policy and the socket the rest.
final class MatcherLoading: Sendable {
    /// The matcher, and the lock of its folder, held as long as the daemon lives.
    typealias Loaded = (matcher: Matcher, lock: SharedDescriptor)

    private let result: Monitor<Result<Loaded, StartError>?>
    private let thread: Thread

    fileprivate init(_ folder: String) throws(SystemCallError) {
        let result = Monitor<Result<Loaded, StartError>?>(nil)
        self.result = result
        thread = try Thread.start("matcher") {
            let loaded = Result { () throws(StartError) in try Self.load(folder) }
            result.update { $0 = loaded }
        }
    }

    deinit { thread.join() }

    /// Waits for the matcher, and pins it.
    func finish() throws(StartError) -> Loaded {
        let loaded = try result.wait(\.self).get()
        _ = try Self.mapError { () throws(MatcherError) in try loaded.matcher.ensurePinned() }
        return loaded
    }

    private static func load(_ folder: String) throws(StartError) -> Loaded {
        // First, since another folder may be the socket's, which is locked meanwhile.
        try mapError { () throws(MatcherError) in try Matcher.checkFileSystem(of: folder) }
        let lock = SharedDescriptor(try claim(folder))
        let matcher = try mapError { () throws(MatcherError) in try Matcher.prepare(for: folder) }
        return (matcher, lock)
    }

    private static func mapError<Value>(_ body: () throws(MatcherError) -> Value) throws(StartError) -> Value {
        do throws(MatcherError) {
            return try body()
        } catch {
            throw StartError(error)
        }
    }

    /// One daemon for one pair of pins: two would end each other's bypasses. Held as long as the daemon lives.
    private static func claim(_ folder: String) throws(StartError) -> OwnedDescriptor {
        do throws(SystemCallError) {
            return try Files.lockFolder(folder, waits: false)
        } catch {
            switch error.errno {
            case .resourceTemporarilyUnavailable:
                throw StartError(
                    StartError.inUse,
                    "another daemon uses \(folder): stop it first, or name another folder with --bpffs")
            case .noSuchFileOrDirectory, .notDirectory: throw StartError(MatcherError.noBPFFileSystem(folder))
            default: throw StartError(error)
            }
        }
    }
}
