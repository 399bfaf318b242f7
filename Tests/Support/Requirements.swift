internal import Glibc
internal import Linux
internal import MeshSandbox

/// What the machine lacks. A test that needs it fails with this message: skipped, it would look like one that passed.
package struct MissingRequirement: Error, CustomStringConvertible {
    let lacking: String

    package var description: String { "\(lacking): run Tests/run.sh as root, which installs what the tests need" }
}

/// What the tests need that touch the kernel.
enum Requirements {
    private static let tools = [
        "bpftool", "getent", "groupadd", "groupdel", "ip", "iptables", "iptables-save", "ip6tables", "ip6tables-save",
        "iptables-nft-restore",
        "ip6tables-nft-restore", "iptables-legacy-restore", "ip6tables-legacy-restore", "iptables-legacy-save",
        "ip6tables-legacy-save", "mkfifo", "mount", "kubectl", "nft", "nsenter", "pgrep", "promtool", "python3",
        "runuser",
        "setpriv", "socat",
        "sysctl", "umount", "useradd", "userdel",
    ]

    /// - Returns: the daemon that was built with the tests.
    static func check() throws -> String {
        guard geteuid() == 0 else { throw MissingRequirement(lacking: "the tests are not run by root") }
        let missing = tools.filter { path(of: $0) == nil }
        guard missing.isEmpty else {
            throw MissingRequirement(lacking: "not found in PATH: \(missing.joined(separator: ", "))")
        }
        guard let daemon = DaemonProcess.builtExecutable() else {
            throw MissingRequirement(lacking: "kmesh-bypassd is not built")
        }
        return daemon
    }

    /// Debian lets `iptables` be either; the tests speak of nf_tables where they say `iptables`.
    static func check(_ sandbox: MeshSandbox) async throws {
        for tool in ["iptables", "ip6tables"] {
            guard try await sandbox.run([tool, "--version"], in: .host).contains("nf_tables") else {
                throw MissingRequirement(lacking: "`\(tool)` is not the one for nf_tables")
            }
        }
    }

    /// Where a program is, by PATH.
    private static func path(of tool: String) -> String? {
        let folders = unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? ""
        return folders.split(separator: ":").map { "\($0)/\(tool)" }.first { unsafe access($0, X_OK) == 0 }
    }
}

/// What the address sanitizer changes (Tests/run.sh --asan).
package enum Sanitizer {
    /// Whether the daemon's memory is its own. The sanitizer keeps what was freed, and more beside all that was not.
    package static let leavesMemoryAsItIs = ProcessEnvironment["ASAN_OPTIONS"] == nil
}
