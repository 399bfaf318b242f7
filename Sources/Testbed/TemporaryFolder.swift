internal import Glibc
internal import Linux
internal import SystemPackage

/// A folder that is this process's alone, for sockets, state and mounts.
///
/// It lies under /run, not under $TMPDIR: its path is short, as a Unix socket's address must be, and has no dot, which
/// libbpf would turn into an underscore in the path of a pinned map.
public struct TemporaryFolder: Hashable, Sendable {
    public let path: String

    /// - Parameter purpose: stands in its name, for people.
    public init(_ purpose: String) throws {
        var template = Array("/run/\(purpose)-XXXXXX".utf8CString)
        try systemCall("mkdtemp /run/\(purpose)-XXXXXX") {
            unsafe template.withUnsafeMutableBufferPointer { unsafe mkdtemp($0.baseAddress!) } == nil ? -1 : 0
        }
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Makes a folder for the time that `body` runs.
    public static func with<Result>(
        _ purpose: String, _ body: (TemporaryFolder) async throws -> Result
    ) async throws -> Result {
        let folder = try TemporaryFolder(purpose)
        return try await scoped {
            try await body(folder)
        } cleanUp: {
            try await folder.remove()
        }
    }

    /// A file of its own for a process's input or output: it has no name any more and goes with its descriptor, which the
    /// caller closes. It is read from its beginning and written at its end.
    static func unnamedFile(contents: String = "") throws -> FileDescriptor {
        let folder = try TemporaryFolder("kmesh-file")
        defer { unsafe rmdir(folder.path) }
        let path = folder.path + "/file"
        let file = try FileDescriptor.open(
            FilePath(path), .readWrite, options: [.create, .exclusiveCreate, .append, .closeOnExec],
            permissions: .ownerReadWrite)
        unsafe unlink(path)
        do {
            try file.writeAll(contents.utf8)
            try file.seek(offset: 0, from: .start)
        } catch {
            try? file.close()
            throw error
        }
        return file
    }

    /// Removes it with what is in it, but nothing that is mounted there.
    public func remove() async throws {
        try await shielded {
            _ = try await Command.run(["rm", "--recursive", "--force", "--one-file-system", path])
        }
    }
}
