internal import Glibc
internal import Linux
internal import SystemPackage

/// A folder that is this process's alone, for sockets, state and mounts.
///
/// It lies under /run, not under $TMPDIR: its path is short, as a Unix socket's address must be, and has no dot, which
/// libbpf would turn into an underscore in the path of a pinned map.
package struct TemporaryFolder: Hashable, Sendable {
    package let path: String

    /// - Parameter purpose: stands in its name, for people.
    package init(_ purpose: String) throws {
        var template = Array("/run/\(purpose)-XXXXXX".utf8CString)
        try systemCall("mkdtemp /run/\(purpose)-XXXXXX") {
            unsafe template.withUnsafeMutableBufferPointer { unsafe mkdtemp($0.baseAddress!) } == nil ? -1 : 0
        }
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Makes a folder for the time that `body` runs.
    package static func with<Result>(
        _ purpose: String, _ body: (TemporaryFolder) async throws -> Result
    ) async throws -> Result {
        let folder = try TemporaryFolder(purpose)
        return try await scoped {
            try await body(folder)
        } cleanUp: {
            try await folder.remove()
        }
    }

    /// A file of its own for a process's input or output: it has lost its name and goes with its descriptor, which the
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
    package func remove() async throws {
        try await shielded {
            _ = try await Command.run(["rm", "--recursive", "--force", "--one-file-system", path])
        }
    }
}

/// A BPF file system of one's own, so that tests and the demo pin nothing in /sys/fs/bpf.
package struct BPFFileSystem: Hashable, Sendable {
    private let folder: TemporaryFolder

    package var path: String { folder.path }

    /// Mounts one on a new folder.
    package static func mount() async throws -> BPFFileSystem {
        let folder = try TemporaryFolder("kmesh-bpffs")
        do {
            _ = try await Command.run(["mount", "-t", "bpf", "-o", "mode=0700", "bpf", folder.path])
        } catch {
            try? await folder.remove()
            throw error
        }
        return BPFFileSystem(folder: folder)
    }

    /// Mounts one for the time that `body` runs.
    package static func with<Result>(_ body: (BPFFileSystem) async throws -> Result) async throws -> Result {
        let mounted = try await mount()
        return try await scoped {
            try await body(mounted)
        } cleanUp: {
            try await mounted.unmount()
        }
    }

    /// Unmounts it and removes the folder. Pins go with the mount, whatever still uses the objects.
    package func unmount() async throws {
        try await shielded {
            _ = try await Command.run(["umount", path])
            try await folder.remove()
        }
    }
}
