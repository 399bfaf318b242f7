internal import CBypassABI
internal import CLibbpf
internal import Glibc
internal import Linux
internal import SystemPackage

/// Pinning by bpf(2)'s own commands: libbpf's pin functions turn dots in a path, folders included, into underscores.
enum Pin {
    /// nil if nothing is pinned there.
    static func open(_ path: String) throws(SystemCallError) -> OwnedDescriptor? {
        do {
            return OwnedDescriptor(
                adopting: try systemCall("bpf BPF_OBJ_GET \(path)") { unsafe negative(bpf_obj_get(path)) })
        } catch {
            if error.errno == .noSuchFileOrDirectory { return nil }
            throw error
        }
    }

    static func make(_ path: String, of descriptor: borrowing OwnedDescriptor) throws(SystemCallError) {
        let number = descriptor.rawValue
        try systemCall("bpf BPF_OBJ_PIN \(path)") { unsafe negative(bpf_obj_pin(number, path)) }
    }

    /// In one step: without the pin, no `iptables` command on a table with our rule works.
    static func replace(_ path: String, by descriptor: borrowing OwnedDescriptor) throws(SystemCallError) {
        let next = path + "_next"
        // What a daemon that was killed in between has left.
        try Files.remove(next)
        try make(next, of: descriptor)
        try systemCall("rename \(next)") { unsafe rename(next, path) }
    }

    /// libbpf returns -errno, and sets errno too (libbpf 1.0).
    static func negative(_ result: CInt) -> CInt { result < 0 ? -1 : result }
}
