internal import Linux
internal import MeshSandbox
internal import StrictJSON

/// The matcher's map, as people see it.
extension Rig {
    /// How many namespaces have an entry.
    package var entries: Int {
        get async throws {
            let dump = try await sandbox.run(["bpftool", "--json", "map", "dump", "pinned", mapPin], in: .host)
            return try JSONReader.read(dump).array?.count ?? 0
        }
    }

    /// Takes the pod's entry away, as a person could.
    package func removeEntry() async throws {
        let key = try await key(of: sandbox.pod)
        try await sandbox.run(["bpftool", "map", "delete", "pinned", mapPin, "key"] + key, in: .host)
    }

    /// Has the entries of bypassed namespaces say that their rules ask a matcher of another version.
    package func ageRules(of names: [String]) async throws {
        for name in names {
            guard var value = try? await entry(of: name) else { continue }
            value.replaceSubrange(16..<24, with: ["1"] + Array(repeating: "0", count: 7))
            try await setEntry(of: name, value)
        }
    }

    /// The bytes of a namespace's entry.
    package func entry(of name: String) async throws -> [String] {
        let lookup = ["bpftool", "--json", "map", "lookup", "pinned", mapPin, "key"]
        let found = try await sandbox.run(lookup + key(of: name), in: .host)
        guard let value = Self.value(in: found) else { throw ContractViolation(description: "no value in \(found)") }
        return value
    }

    /// Replaces a namespace's entry.
    package func setEntry(of name: String, _ value: [String]) async throws {
        let update = ["bpftool", "map", "update", "pinned", mapPin, "key"]
        try await sandbox.run(update + key(of: name) + ["value"] + value, in: .host)
    }

    /// The bytes of the value that `bpftool --json map lookup` prints.
    private static func value(in lookup: String) -> [String]? {
        let parts = lookup.split(separator: "\"value\":")
        guard parts.count > 1 else { return nil }
        return parts[1].split(separator: "\"").filter { $0.hasPrefix("0x") }.map(String.init)
    }

    /// The namespaces that have a record in the state folder.
    package func recordedInodes() throws -> Set<Int> {
        var found: Set<Int> = []
        for entry in try Files.entries(in: options.stateDirectory) {
            for line in try Files.text(options.stateDirectory + "/" + entry.name).split(separator: "\n") {
                let members = try Members(JSONReader.read(String(line)))
                let inode = try members.integer("inode")
                if try members.value("record") == .null { found.remove(inode) } else { found.insert(inode) }
            }
        }
        return found
    }

    /// A namespace's key in the map, byte by byte.
    package func key(of netns: String) async throws -> [String] {
        let inode = UInt64(try await sandbox.inode(of: "/run/netns/" + netns))
        return (0..<8).map { String(inode >> ($0 * 8) & 0xff) }
    }
}
