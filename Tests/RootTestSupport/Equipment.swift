internal import Glibc
internal import Testbed

/// What the machine lacks. A test that needs it fails with these words: skipped, it would look like one that passed.
public struct NotEquipped: Error, CustomStringConvertible {
    let lacking: String

    public var description: String { "\(lacking): run Tests/run.sh as root, which installs what the tests need" }
}

/// What the tests of this package that touch the kernel cannot do without.
enum Equipment {
    private static let tools = [
        "bpftool", "getent", "groupadd", "groupdel", "ip", "iptables", "iptables-save", "ip6tables", "ip6tables-save",
        "iptables-nft-restore",
        "ip6tables-nft-restore", "iptables-legacy-restore", "ip6tables-legacy-restore", "iptables-legacy-save",
        "ip6tables-legacy-save", "mkfifo", "mount", "kubectl", "nft", "nsenter", "pgrep", "python3", "runuser",
        "setpriv", "socat",
        "sysctl", "umount", "useradd", "userdel",
    ]

    /// - Returns: the daemon that was built with the tests.
    static func check() throws -> String {
        guard geteuid() == 0 else { throw NotEquipped(lacking: "the tests are not run by root") }
        let missing = tools.filter { path(of: $0) == nil }
        guard missing.isEmpty else {
            throw NotEquipped(lacking: "not found in PATH: \(missing.joined(separator: ", "))")
        }
        guard let daemon = DaemonProcess.builtExecutable() else {
            throw NotEquipped(lacking: "kmesh-bypassd is not built")
        }
        return daemon
    }

    /// Debian lets `iptables` be either; the tests speak of nf_tables where they say `iptables`.
    static func check(_ testbed: Testbed) async throws {
        for tool in ["iptables", "ip6tables"] {
            guard try await testbed.run([tool, "--version"], in: .host).contains("nf_tables") else {
                throw NotEquipped(lacking: "`\(tool)` is not the one for nf_tables")
            }
        }
    }

    /// Where a program is, by PATH.
    private static func path(of tool: String) -> String? {
        let folders = unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? ""
        return folders.split(separator: ":").map { "\($0)/\(tool)" }.first { unsafe access($0, X_OK) == 0 }
    }
}
