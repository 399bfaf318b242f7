internal import ArgumentParser
internal import BypassAPI

/// `extend NETNS`
struct Extend: DaemonCommand {
    typealias Method = ExtendMethod

    static let configuration = CommandConfiguration(
        abstract: "Give the bypass of a network namespace more time.",
        discussion: "It never ends sooner by this. All else about it stays as it is.")

    @OptionGroup var namespace: NamespaceArgument

    @Option(
        name: .customLong("for"),
        help: .init("End it by itself that long from now: 90, 90s, 15m or 2h.", valueName: "time"),
        transform: TimeToLive.parse)
    var timeToLive: TimeToLive

    @OptionGroup var condition: Condition
    @OptionGroup var common: CommonOptions

    var parameters: ExtendMethod.Parameters {
        .init(netns: namespace.netns, ttl: timeToLive.seconds, ifGeneration: condition.ifGeneration)
    }

    func text(of result: BypassMethod.Result, _ style: Style) -> String {
        describe(result.status, changed: result.changed, style)
    }
}
