package import BypassAPI

/// The evaluation of one grant for a caller's question.
package struct GrantEvaluation: Hashable, Sendable {
    package var grant: Grant
    /// Through whom the caller has the grant; nil if it is not the caller's.
    package var subject: Grant.Subject?
    /// The unmet requirements of the question; empty if the grant does not concern the caller.
    package var unmetRequirements: [UnmetRequirement]

    package var allows: Bool { subject != nil && unmetRequirements.isEmpty }
}

extension Policy {
    /// The evaluation of each grant for a call that needs a role. Root needs none of them.
    package func explain(_ role: Permission, for caller: Caller) -> [GrantEvaluation] {
        evaluations(for: caller) { $0.unmetRequirements(for: role) }
    }

    /// The evaluation of each grant for a change. Root needs one only for the host's namespace.
    package func explain(_ change: Change, for caller: Caller) -> [GrantEvaluation] {
        evaluations(for: caller) { $0.unmetRequirements(for: change) }
    }

    private func evaluations(
        for caller: Caller, unmetRequirements: (Grant) -> [UnmetRequirement]
    ) -> [GrantEvaluation] {
        grants.map { grant in
            let subject = grant.subject(including: caller)
            return GrantEvaluation(
                grant: grant, subject: subject, unmetRequirements: subject == nil ? [] : unmetRequirements(grant))
        }
    }
}
