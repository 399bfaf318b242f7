/// The kernel's side of one open namespace: what the engine looks at and acts upon.
public protocol NamespaceKernel: ~Copyable {
    /// What was observed earlier, if it is still known, without looking again. It may be out of date: `execute` then
    /// refuses what is to be done in the ruleset, with `rulesetChanged`.
    mutating func recall() throws(KernelFailure) -> Observation?
    mutating func observe() throws(KernelFailure) -> Observation
    /// Carries out actions; those in the ruleset only if the ruleset is still the observed one.
    mutating func execute(_ actions: [Action]) throws(KernelFailure)
}

/// How the kernel can say no.
public enum KernelFailure: Error, Hashable, Sendable {
    /// Somebody changed the ruleset meanwhile: observe and plan again.
    case rulesetChanged
    /// The kernel can't do nat for this family.
    case familyUnsupported(Family)
    case refused(BypassError)
}
