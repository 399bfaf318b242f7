internal import ArgumentParser
internal import BypassAPI

/// `off NETNS`
struct Off: DaemonCommand {
    typealias Method = BypassMethod

    static let configuration = CommandConfiguration(
        abstract: "Turn the bypass of a network namespace off.",
        discussion: "New connections pass the sidecar again. That it is off already is no error.")

    @OptionGroup var namespace: NamespaceArgument
    @OptionGroup var attribution: Attribution
    @OptionGroup var condition: Condition
    @OptionGroup var common: CommonOptions

    var parameters: BypassMethod.Parameters {
        .init(
            netns: namespace.netns, state: .off, owner: attribution.owner, reason: attribution.reason,
            ifGeneration: condition.ifGeneration)
    }

    func text(of result: BypassMethod.Result, _ style: Style) -> String {
        describe(result.status, changed: result.changed, style)
    }
}
