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
        return title + "\n" + TextTable(rows: answers).text(style) + "\n" + TextTable(rows: grants).text(style)
            + warnings(style) + source.warnings(style)
    }

    // MARK: - Decisions

    private var answers: [[Cell]] {
        var rows = [["TO", "ANSWER", "BECAUSE"].map { Cell($0, .bold) }]
        rows.append(row("call \(methods(.read))", .read))
        rows.append(row("call \(methods(.bypass))", .bypass))
        for change in changes { rows.append(row(change)) }
        rows.append(row("call \(methods(.admin))", .admin))
        return rows
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

    private func row(_ what: String, _ role: Permission) -> [Cell] {
        row(
            what, policy.roleRefusal(of: caller, asking: role, to: what), policy.explain(role, for: caller),
            isHost: false)
    }

    private func row(_ change: Change) -> [Cell] {
        row(
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

    private func row(_ what: String, _ refusal: BypassError?, _ evaluations: [GrantEvaluation], isHost: Bool) -> [Cell]
    {
        if let refusal { return [Cell(what), Cell("no", .yellow), Cell(refusal.message)] }
        let grant = evaluations.first(where: \.allows).map { "\($0.grant)\($0.asSubject)" }
        let reason = caller.isRoot && !isHost ? "root is always admin" : grant ?? "root is always admin"
        return [Cell(what), Cell("yes", .green), Cell(reason)]
    }

    // MARK: - Grants

    private var grants: [[Cell]] {
        let question = changes.first
        let evaluations = question.map { policy.explain($0, for: caller) } ?? policy.explain(.bypass, for: caller)
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

    private func warnings(_ style: Style) -> String {
        guard let target, let openError = target.openError else { return "" }
        let unknown = target.isHost ? "its" : "whether it is the host's, and its"
        let text =
            "\(target.netns) cannot be opened (\(openError)): \(unknown) names under /run/netns are not considered"
        return style.paint("warning:", .yellow) + " " + text.printable + "\n"
    }
}

extension GrantEvaluation {
    fileprivate var asSubject: String { subject.map { ", through \($0)" } ?? "" }
}
