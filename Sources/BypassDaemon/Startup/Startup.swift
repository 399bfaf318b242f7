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

    /// One daemon for one pair of pins: two would end each other's bypasses. Held as long as the daemon lives.
    static func claim(_ folder: String) throws(StartError) -> OwnedDescriptor {
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

    static func pin(_ matcher: MatcherLoader) throws(StartError) -> Matcher {
        do throws(MatcherError) {
            return try matcher.pin()
        } catch {
            throw StartError(error)
        }
    }

    /// A part of the daemon that may fail only by a system call.
    static func make<Part>(_ part: @autoclosure () throws(SystemCallError) -> Part) throws(StartError) -> Part {
        do throws(SystemCallError) {
            return try part()
        } catch {
            throw StartError(error)
        }
    }

    /// As `uname -r` prints it.
    static func kernelRelease() -> String {
        String(((try? Files.text("/proc/sys/kernel/osrelease")) ?? "unknown").prefix { $0 != "\n" })
    }
}
