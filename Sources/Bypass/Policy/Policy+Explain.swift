extension Policy {
    /// What one grant says to a caller's question.
    public struct Verdict: Hashable, Sendable {
        public var grant: Grant
        /// Through whom the caller has the grant; nil if it is not the caller's.
        public var subject: Grant.Subject?
        /// What keeps it from allowing what was asked for; empty if it does not concern the caller.
        public var lacks: [Lack]

        public var allows: Bool { subject != nil && lacks.isEmpty }
    }

    /// What each grant says about calling what needs a role. Root needs none of them.
    public func explain(_ role: Role, for caller: Caller) -> [Verdict] {
        explain(for: caller) { $0.lacks(for: role) }
    }

    /// What each grant says about a change. Root needs one only for the host's namespace.
    public func explain(_ change: Change, for caller: Caller) -> [Verdict] {
        explain(for: caller) { $0.lacks(for: change) }
    }

    private func explain(for caller: Caller, lacks: (Grant) -> [Lack]) -> [Verdict] {
        grants.map { grant in
            let subject = grant.subject(including: caller)
            return Verdict(grant: grant, subject: subject, lacks: subject == nil ? [] : lacks(grant))
        }
    }
}
