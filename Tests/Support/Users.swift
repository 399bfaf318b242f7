internal import MeshSandbox
package import StrictJSON

/// An account on the machine, for the time of a test.
package struct User: Hashable, Sendable {
    package let name: String
    package let uid: Int

    package static let root = User(name: "root", uid: 0)
}

extension Rig {
    /// The group that may read and bypass where there is no policy file.
    private static let group = "kmesh"

    /// Makes an account for each name, those in `operators` as members of the group `kmesh`, and opens the rig's socket to
    /// all of them: what is denied is then denied by the daemon. Afterwards there is no such user any more.
    ///
    /// To be called before the daemon is started, which looks the group up.
    package func withUsers(
        operators: [String] = [], others: [String] = [], _ body: ([String: User]) async throws -> Void
    ) async throws {
        try await withGroup {
            try await withUsers(operators.map { ($0, true) } + others.map { ($0, false) }, [:], body)
        }
    }

    private func withUsers(
        _ left: [(name: String, isOperator: Bool)], _ made: [String: User],
        _ body: ([String: User]) async throws -> Void
    ) async throws {
        guard let (name, isOperator) = left.first else { return try await body(made) }
        // Names are the machine's: one that no other test has.
        let account = sandbox.pod.replacing("-pod", with: "-\(name)")
        let groups = isOperator ? ["--groups", Self.group] : []
        try await sandbox.run(["useradd", "--no-create-home", "--no-log-init"] + groups + [account], in: .host)
        try await scoped {
            let uid = try await sandbox.run(["id", "--user", account], in: .host)
            let user = User(name: account, uid: Int(uid.filter(\.isNumber)) ?? 0)
            try await withUsers(Array(left.dropFirst()), made.merging([name: user]) { $1 }, body)
        } cleanUp: {
            try await sandbox.run(["userdel", account], in: .host)
        }
    }

    private func withGroup(_ body: () async throws -> Void) async throws {
        if try await sandbox.result(of: ["getent", "group", Self.group]).code == 0 { return try await body() }
        try await sandbox.run(["groupadd", "--system", Self.group], in: .host)
        try await scoped(body) { try await sandbox.run(["groupdel", Self.group], in: .host) }
    }

    /// Lets everybody connect: what a daemon then denies is its own decision.
    package func openSocket() async throws {
        try await sandbox.run(["chmod", "0711", folder.path], in: .host)
        try await sandbox.run(["chmod", "0666", socket], in: .host)
    }

    /// What the policy file says from the next start or reload on.
    package func write(policy: String) async throws {
        try await sandbox.run(["tee", policyFile], in: .host, input: policy)
    }

    /// Sends lines by socat as a user, and returns the lines that come back.
    package func lines(as user: User, _ input: [String]) async throws -> [JSONValue] {
        let socat = ["socat", "-t", "10", "-", "UNIX-CONNECT:\(socket)"]
        let command = user == .root ? socat : ["runuser", "--user", user.name, "--"] + socat
        let output = try await sandbox.run(command, in: .host, input: input.map { $0 + "\n" }.joined())
        return try output.split(separator: "\n").map { try JSONReader.read(String($0)) }
    }
}
