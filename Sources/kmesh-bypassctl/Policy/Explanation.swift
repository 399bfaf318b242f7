internal import Bypass
internal import BypassAPI
internal import BypassPolicy
internal import Console

/// The permissions of a user, with the grants that decide.
struct Explanation {
    var source: PolicySource
    var user: PolicyExplain.User
    var target: PolicyExplain.Target?
    var hooks: HookSet
    var scope = Scope.all
    var ttl: Int?

    private var policy: Policy { source.policy }
    private var caller: Caller { user.caller }

    func text(_ style: Style) -> String {
        let title = TextTable(rows: [
            [Cell("user:"), Cell(user.description)],
            [Cell("policy:"), Cell(policy.isBuiltIn ? "built in, as there is no \(source.path)" : source.path)],
        ]).text(style)
        return title + "\n" + TextTable(rows: answerRows).text(style) + "\n" + TextTable(rows: grantRows).text(style)
            + namespaceWarnings.map { style.paint("warning:", .yellow) + " " + $0.printable + "\n" }.joined()
            + source.warnings(style)
    }

    // MARK: - For programs

    struct Result: Encodable {
        var user: String
        var path: String
        var builtIn: Bool
        var answers: [Answer]
        var grants: [GrantEvaluation.Result]
        var warnings: [String]
    }

    var result: Result {
        Result(
            user: user.description, path: source.path, builtIn: policy.isBuiltIn, answers: answers,
            grants: evaluations.map(\.result), warnings: namespaceWarnings + source.allWarnings)
    }

    // MARK: - Decisions

    /// Whether the user may do something, and why.
    struct Answer: Encodable {
        var to: String
        var allowed: Bool
        var because: String
    }

    private var answers: [Answer] {
        [answer("call \(methods(.read))", .read), answer("call \(methods(.bypass))", .bypass)]
            + changes.map(answer) + [answer("call \(methods(.admin))", .admin)]
    }

    private var answerRows: [[Cell]] {
        [["TO", "ANSWER", "BECAUSE"].map { Cell($0, .bold) }]
            + answers.map { answer in
                [
                    Cell(answer.to), answer.allowed ? Cell("yes", .green) : Cell("no", .yellow), Cell(answer.because),
                ]
            }
    }

    private func methods(_ permission: Permission) -> String {
        OpenRPCDocument.methods.filter { $0.permission == permission }.map { $0.name }.joined(separator: ", ")
    }

    private var changes: [Change] {
        guard let target else { return [] }
        return [.on(hooks: hooks, scope: scope, ttl: ttl), .off].map {
            Change(
                netns: target.netns, reference: target.reference, names: target.names, operation: $0,
                isHost: target.isHost)
        }
    }

    private func answer(_ what: String, _ role: Permission) -> Answer {
        answer(
            what, policy.roleRefusal(of: caller, asking: role, to: what), policy.explain(role, for: caller),
            isHost: false)
    }

    private func answer(_ change: Change) -> Answer {
        answer(
            change.description, refusal(of: change), policy.explain(change, for: caller),
            isHost: change.isHost)
    }

    private func refusal(of change: Change) -> BypassError? {
        do throws(BypassError) {
            _ = try policy.authorize(change, by: caller)
            return nil
        } catch {
            return error
        }
    }

    private func answer(
        _ what: String, _ refusal: BypassError?, _ evaluations: [GrantEvaluation], isHost: Bool
    ) -> Answer {
        if let refusal { return Answer(to: what, allowed: false, because: refusal.message) }
        let grant = evaluations.first(where: \.allows).map { "\($0.grant)\($0.asSubject)" }
        let reason = caller.isRoot && !isHost ? "root is always admin" : grant ?? "root is always admin"
        return Answer(to: what, allowed: true, because: reason)
    }

    // MARK: - Grants

    /// Of turning a bypass on, where a namespace is named.
    private var evaluations: [GrantEvaluation] {
        changes.first.map { policy.explain($0, for: caller) } ?? policy.explain(.bypass, for: caller)
    }

    private var grantRows: [[Cell]] {
        let question = changes.first
        if evaluations.isEmpty { return [[Cell("there are no grants")]] }
        let title = question.map { "TO \($0)" } ?? "MEANS"
        let titles = ["GRANT", "THROUGH", title].map { Cell($0, .bold) }
        return [titles]
            + evaluations.map { evaluation in
                let name = evaluation.grant.line.map { "line \($0)" } ?? "built in"
                guard let subject = evaluation.subject else {
                    return [Cell(name), Cell("-"), Cell("is not this user's: \(evaluation.grant.sentence)")]
                }
                let words = evaluation.allows ? "allows it" : evaluation.unmetRequirements.words
                return [
                    Cell(name), Cell(subject.description), Cell(question == nil ? evaluation.grant.sentence : words),
                ]
            }
    }

    private var namespaceWarnings: [String] {
        guard let target, let openError = target.openError else { return [] }
        let unknown = target.isHost ? "its" : "whether it is the host's, and its"
        return ["\(target.netns) cannot be opened (\(openError)): \(unknown) names under /run/netns are not considered"]
    }
}

extension GrantEvaluation {
    /// For programs.
    struct Result: Encodable {
        /// nil of a built-in one.
        var line: Int?
        /// The user or group that makes it this user's; nil if it is not.
        var through: String?
        var allows: Bool
        var meaning: String
    }

    fileprivate var result: Result {
        Result(line: grant.line, through: subject?.description, allows: allows, meaning: grant.sentence)
    }

    fileprivate var asSubject: String { subject.map { ", through \($0)" } ?? "" }
}
