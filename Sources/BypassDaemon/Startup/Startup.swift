internal import BypassAPI
internal import Linux
internal import Matcher
internal import SystemPackage

/// What has to be in order before the daemon can answer, each with its own exit status.
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

    static func listen(_ configuration: Daemon.Configuration) throws(StartError) -> UnixListener {
        do throws(UnixSocketError) {
            return try UnixSocket.listen(on: configuration.socket, group: configuration.socketGroup)
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

    static func loadMatcher(_ folder: String) throws(StartError) -> Matcher {
        do throws(MatcherError) {
            return try Matcher.load(into: folder)
        } catch {
            throw StartError(error)
        }
    }

    static func openRegistry(_ folder: String) throws(StartError) -> Registry {
        do throws(SystemCallError) {
            return try Registry(folder: folder)
        } catch {
            throw StartError(error)
        }
    }

    /// As `uname -r` prints it.
    static func kernelRelease() -> String {
        String(((try? Files.text("/proc/sys/kernel/osrelease")) ?? "unknown").prefix { $0 != "\n" })
    }
}
