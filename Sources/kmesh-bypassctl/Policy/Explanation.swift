internal import Bypass
internal import BypassAPI
internal import BypassPolicy

/// What a user may do, and why.
struct Explanation {
    var source: PolicySource
    var person: PolicyExplain.Person
    var place: PolicyExplain.Place?
    var hooks: HookSet
    var ttl: Int?

    private var policy: Policy { source.policy }
    private var caller: Caller { person.caller }

    func text(_ style: Style) -> String {
        let title = Table(rows: [
            [Cell("user:"), Cell(person.description)],
            [Cell("policy:"), Cell(policy.isBuiltIn ? "built in, as there is no \(source.path)" : source.path)],
        ]).text(style)
        return title + "\n" + Table(rows: answers).text(style) + "\n" + Table(rows: grants).text(style)
            + notes(style) + source.notes(style)
    }

    // MARK: - What may be done

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
        guard let place else { return [] }
        return [.on(hooks: hooks, ttl: ttl), .off].map {
            Change(
                netns: place.netns, reference: place.reference, names: place.names, operation: $0, isHost: place.isHost)
        }
    }

    private func row(_ what: String, _ role: Permission) -> [Cell] {
        row(what, policy.roleRefusal(of: caller, asking: role, to: what), policy.explain(role, for: caller), isHost: false)
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

    private func row(_ what: String, _ refusal: BypassError?, _ evaluations: [GrantEvaluation], isHost: Bool) -> [Cell] {
        if let refusal { return [Cell(what), Cell("no", .yellow), Cell(refusal.sentence)] }
        let grant = evaluations.first(where: \.allows).map { "\($0.grant)\($0.asSubject)" }
        let reason = caller.isRoot && !isHost ? "root is always admin" : grant ?? "root is always admin"
        return [Cell(what), Cell("yes", .green), Cell(reason)]
    }

    // MARK: - What each grant says

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
                return [Cell(name), Cell(subject.description), Cell(question == nil ? evaluation.grant.sentence : words)]
            }
    }

    private func notes(_ style: Style) -> String {
        guard let place, let obstacle = place.obstacle else { return "" }
        let open = place.isHost ? "what" : "whether it is the host's, and what"
        let text =
            "\(place.netns) cannot be looked at (\(obstacle)): \(open) it is called under /run/netns does not count here"
        return style.paint("warning:", .yellow) + " " + text.printable + "\n"
    }
}

extension BypassError {
    /// What the daemon would say.
    var sentence: String {
        switch self {
        case .permissionDenied(let text), .netnsNotFound(let text), .notNetns(let text), .hostNetnsRefused(let text),
            .kernelRefused(_, _, let text), .unsupported(let text), .invalidParameter(let text), .conflict(let text),
            .netnsMismatch(let text):
            text
        }
    }
}

extension GrantEvaluation {
    fileprivate var asSubject: String { subject.map { ", through \($0)" } ?? "" }
}
