internal import ArgumentParser
internal import BypassAPI

/// `status NETNS`
struct Status: DaemonCommand {
    typealias Method = StatusMethod

    static let configuration = CommandConfiguration(
        abstract: "Tell whether a network namespace is bypassed, and whether that has its effect.",
        discussion: """
            What is told is what the kernel holds now. 'degraded' means that the bypass is wanted, but a rule is missing \
            or no longer first: the warnings say which.
            """)

    @OptionGroup var namespace: NamespaceArgument
    @OptionGroup var common: CommonOptions

    var parameters: StatusMethod.Parameters { .init(netns: namespace.netns) }

    func text(of result: BypassStatus, _ style: Style) -> String {
        describe(result, changed: nil, style)
    }
}
