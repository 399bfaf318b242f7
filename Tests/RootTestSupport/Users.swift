public import StrictJSON
internal import Testbed

/// Somebody with an account on the machine, for the time of a test.
public struct User: Hashable, Sendable {
    public let name: String
    public let uid: Int

    public static let root = User(name: "root", uid: 0)
}

extension Rig {
    /// The group that may read and bypass where there is no policy file.
    private static let group = "kmesh"

    /// Makes an account for each name, those in `operators` as members of the group `kmesh`, and opens the rig's socket to
    /// all of them: what is denied is then denied by the daemon. Afterwards there is no such user any more.
    ///
    /// To be called before the daemon is started, which looks the group up.
    public func withUsers(
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
        let account = testbed.pod.replacing("-pod", with: "-\(name)")
        let groups = isOperator ? ["--groups", Self.group] : []
        try await testbed.run(["useradd", "--no-create-home", "--no-log-init"] + groups + [account], in: .host)
        try await scoped {
            let uid = try await testbed.run(["id", "--user", account], in: .host)
            let user = User(name: account, uid: Int(uid.filter(\.isNumber)) ?? 0)
            try await withUsers(Array(left.dropFirst()), made.merging([name: user]) { $1 }, body)
        } cleanUp: {
            try await testbed.run(["userdel", account], in: .host)
        }
    }

    private func withGroup(_ body: () async throws -> Void) async throws {
        if try await testbed.ending(of: ["getent", "group", Self.group]).code == 0 { return try await body() }
        try await testbed.run(["groupadd", "--system", Self.group], in: .host)
        try await scoped(body) { try await testbed.run(["groupdel", Self.group], in: .host) }
    }

    /// Lets everybody connect: what a daemon then denies is its own decision.
    public func openSocket() async throws {
        try await testbed.run(["chmod", "0711", folder.path], in: .host)
        try await testbed.run(["chmod", "0666", socket], in: .host)
    }

    /// What the policy file says from the next start or reload on.
    public func write(policy: String) async throws {
        try await testbed.run(["tee", policyFile], in: .host, input: policy)
    }

    /// Sends lines by socat as somebody, and returns the lines that come back.
    public func lines(as user: User, _ input: [String]) async throws -> [JSONValue] {
        let socat = ["socat", "-t", "10", "-", "UNIX-CONNECT:\(socket)"]
        let command = user == .root ? socat : ["runuser", "--user", user.name, "--"] + socat
        let output = try await testbed.run(command, in: .host, input: input.map { $0 + "\n" }.joined())
        return try output.split(separator: "\n").map { try JSONReader.read(String($0)) }
    }
}
