/// A BPF file system of one's own, so that tests and the demo pin nothing in /sys/fs/bpf.
public struct BPFFileSystem: Hashable, Sendable {
    private let folder: TemporaryFolder

    public var path: String { folder.path }

    /// Mounts one on a new folder.
    public static func mount() async throws -> BPFFileSystem {
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
    public static func with<Result>(_ body: (BPFFileSystem) async throws -> Result) async throws -> Result {
        let mounted = try await mount()
        return try await scoped {
            try await body(mounted)
        } cleanUp: {
            try await mounted.unmount()
        }
    }

    /// Unmounts it and removes the folder. Pins go with the mount, whatever still uses the objects.
    public func unmount() async throws {
        try await shielded {
            _ = try await Command.run(["umount", path])
            try await folder.remove()
        }
    }
}
