internal import CLinux
internal import Glibc
internal import SystemPackage

/// The reason that the file cannot be read, as a sentence.
package struct TrustedFileError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String
}

/// A file that root writes and the daemon trusts.
package struct TrustedFile: Sendable {
    package let contents: [UInt8]
    /// The reason not to trust it, and the remedy: a user other than root can write it, and with it control a
    /// root daemon. nil if it is to be trusted.
    package let untrustedReason: String?

    /// Reads a file without waiting for anything.
    ///
    /// - Returns: nil if there is none. A link that leads nowhere is an error: there is meant to be a file.
    package static func read(_ path: String, limit: Int) throws(TrustedFileError) -> TrustedFile? {
        guard let descriptor = try open(path) else { return nil }
        let number = descriptor.rawValue
        var status = stat()
        try call("fstat \(path)") { unsafe fstat(number, &status) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw TrustedFileError(description: "\(path) is not a file") }
        // One byte more shows whether it is longer.
        var contents = [UInt8](repeating: 0, count: limit + 1)
        var length = 0
        while length <= limit {
            let count = try call("read \(path)") {
                unsafe contents.withUnsafeMutableBytes {
                    unsafe Glibc.read(number, $0.baseAddress! + length, $0.count - length)
                }
            }
            if count == 0 { break }
            length += count
        }
        guard length <= limit else { throw TrustedFileError(description: "\(path) is larger than \(limit) bytes") }
        return TrustedFile(
            contents: Array(contents[..<length]),
            untrustedReason: Self.untrustedReason(of: path, uid: status.st_uid, mode: status.st_mode))
    }

    private static func open(_ path: String) throws(TrustedFileError) -> OwnedDescriptor? {
        do throws(SystemCallError) {
            return OwnedDescriptor(adopting: try systemCall("open \(path)") { unsafe clinux_open_read(path) })
        } catch {
            var status = stat()
            let isAbsent = unsafe lstat(path, &status) != 0 && errno == ENOENT
            if error.errno == .noSuchFileOrDirectory && isAbsent { return nil }
            throw TrustedFileError(description: "cannot \(error)")
        }
    }

    /// An access list that lets other users write shows in the group's bits.
    static func untrustedReason(of path: String, uid: UInt32, mode: UInt32) -> String? {
        let remedy = "a user who can write it could become root: chown root:root and chmod 0644 it"
        if uid != 0 { return "\(path) belongs to uid \(uid), not to root; \(remedy)" }
        if mode & 0o022 != 0 { return "\(path) can be written by others than root; \(remedy)" }
        return nil
    }

    @discardableResult
    private static func call<Result: FixedWidthInteger & SignedInteger>(
        _ operation: @autoclosure () -> String, _ body: () -> Result
    ) throws(TrustedFileError) -> Result {
        do throws(SystemCallError) {
            return try systemCall(operation(), body)
        } catch {
            throw TrustedFileError(description: "cannot \(error)")
        }
    }
}
