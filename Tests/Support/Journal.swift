internal import MeshSandbox

/// Simulates systemd's journal: receives what is sent to its socket in the native protocol.
package struct Journal: Sendable {
    let path: String
    fileprivate let file: String
    private let sandbox: MeshSandbox

    init(in folder: String, _ sandbox: MeshSandbox) {
        path = folder + "/journal"
        file = folder + "/records"
        self.sandbox = sandbox
    }

    /// The records that came so far, as the values of their fields.
    package var records: [[String: String]] {
        get async throws {
            let text = try await sandbox.run(["cat", file], in: .host)
            var records: [[String: String]] = []
            for line in text.split(separator: "\n") {
                let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
                // Each begins with its message.
                if parts[0] == "MESSAGE" { records.append([:]) }
                records[records.count - 1][parts[0]] = parts.count > 1 ? parts[1] : "not a field"
            }
            return records
        }
    }

    /// Waits until there is a record like that, and gives all of those.
    package func records(with name: String, _ value: String) async throws -> [[String: String]] {
        var found: [[String: String]] = []
        try await eventually("a record with \(name)=\(value)") {
            found = try await records.filter { $0[name] == value }
            return !found.isEmpty
        }
        return found
    }
}

extension Rig {
    /// Where the daemon sends its audit records while `withJournal` runs.
    package var journalArguments: [String] { ["--journal", Journal(in: folder.path, sandbox).path] }

    /// Has a journal listen for the time that `body` runs.
    package func withJournal(_ body: (Journal) async throws -> Void) async throws {
        let journal = Journal(in: folder.path, sandbox)
        try await sandbox.withReceiver(at: journal.path, output: journal.file) { try await body(journal) }
    }
}
