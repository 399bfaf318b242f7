internal import BypassAPI
internal import Datapath
internal import Linux

/// The reason that the daemon cannot start: one line for people, and an exit status for programs (sysexits.h's numbers).
package struct StartError: Error, Sendable, CustomStringConvertible {
    package var description: String
    package var exitCode: Int32

    static let noMatcherSupport: Int32 = 69  // EX_UNAVAILABLE
    static let system: Int32 = 71  // EX_OSERR
    static let noBPFFileSystem: Int32 = 72  // EX_OSFILE
    static let inUse: Int32 = 75  // EX_TEMPFAIL
    static let noPermission: Int32 = 77  // EX_NOPERM
    static let badPolicy: Int32 = 78  // EX_CONFIG

    init(_ exitCode: Int32, _ description: String) {
        self.description = description
        self.exitCode = exitCode
    }

    init(_ error: SystemCallError) {
        self.init(Self.system, "\(error)")
    }

    init(_ error: MatcherError) {
        switch error {
        case .noBPFFileSystem(let folder):
            self.init(
                Self.noBPFFileSystem,
                "\(folder) is not on a BPF file system: mount one with 'mount -t bpf bpf \(folder)', or name another "
                    + "folder with --bpffs")
        case .noBTF:
            self.init(
                Self.noMatcherSupport,
                "this kernel has no BTF (/sys/kernel/btf/vmlinux): a kernel with CONFIG_DEBUG_INFO_BTF=y is needed")
        case .foreignPin(let path):
            self.init(
                Self.inUse, "\(path) is not this daemon's: move it away, or name another folder with --bpffs")
        case .systemCall(let error):
            self.init(Self.noMatcherSupport, "the matcher cannot be loaded: \(error)")
        }
    }

    init(_ error: UnixSocketError) {
        switch error {
        case .inUse(let path):
            self.init(
                Self.inUse, "a daemon listens on \(path) already: stop it first, or name another socket with --socket")
        case .notSocket(let path):
            self.init(Self.inUse, "\(path) exists and is not a socket: move it away, or name another with --socket")
        case .pathTooLong(let path):
            self.init(Self.system, "the socket's path is longer than 107 bytes: \(path)")
        case .notPassed(let what):
            self.init(
                Self.system,
                "systemd passed \(what): kmesh-bypassd.socket must have exactly one ListenStream=, with a path")
        case .removed(let path):
            self.init(
                Self.system,
                "systemd's socket \(path) was removed: 'systemctl restart kmesh-bypassd.socket' creates it again")
        case .unknownGroup(let name):
            self.init(Self.system, "the group \(name) cannot be looked up now: until then only root can connect")
        case .systemCall(let error): self.init(error)
        }
    }
}
