internal import Glibc
internal import SystemPackage

/// A file that lines are added to, readable by root alone.
public struct AppendOnlyFile: ~Copyable, Sendable {
    private let descriptor: OwnedDescriptor
    private let path: String

    public init(_ path: String) throws(SystemCallError) {
        let flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW
        let number = try systemCall("open \(path)") { unsafe open(path, flags, 0o600) }
        descriptor = OwnedDescriptor(adopting: number)
        self.path = path
    }

    /// Adds `bytes` as a whole, or throws and adds nothing.
    public func append(_ bytes: [UInt8]) throws(SystemCallError) {
        let number = descriptor.rawValue
        let written = try systemCall("write \(path)") { unsafe write(number, bytes, bytes.count) }
        if written == bytes.count { return }
        // The disk is full: what fitted would run into the next line.
        let end = lseek(number, 0, SEEK_END)
        _ = ftruncate(number, end - off_t(written))
        throw SystemCallError("write \(path)", .noSpace)
    }
}
