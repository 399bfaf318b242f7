internal import CLinux
internal import Glibc
public import SystemPackage

extension Errno {
    /// The error of the calling thread's last system call.
    static var current: Errno { Errno(rawValue: Glibc.errno) }

    /// The name in errno(3), such as `EPERM`; `E` and the number where it has none.
    public var name: String {
        guard let name = unsafe clinux_errno_name(rawValue) else { return "E\(rawValue)" }
        return unsafe String(cString: name)
    }
}
