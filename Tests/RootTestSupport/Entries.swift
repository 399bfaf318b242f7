internal import Testbed

/// The matcher's map, as people see it.
extension Rig {
    /// How many namespaces have an entry.
    public var entries: Int {
        get async throws {
            let dump = try await testbed.run(["bpftool", "--json", "map", "dump", "pinned", mapPin], in: .host)
            return dump.split(separator: "\"key\"").count - 1
        }
    }

    /// Takes the pod's entry away, as a person could.
    public func removeEntry() async throws {
        let key = try await key(of: testbed.pod)
        try await testbed.run(["bpftool", "map", "delete", "pinned", mapPin, "key"] + key, in: .host)
    }

    /// A namespace's key in the map, byte by byte.
    public func key(of netns: String) async throws -> [String] {
        let inode = UInt64(try await testbed.inode(of: "/run/netns/" + netns))
        return (0..<8).map { String(inode >> ($0 * 8) & 0xff) }
    }
}
