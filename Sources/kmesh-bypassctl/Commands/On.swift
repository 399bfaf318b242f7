public import ArgumentParser
public import BypassAPI

/// `on NETNS`
struct On: DaemonCommand {
    typealias Method = BypassMethod

    static let configuration = CommandConfiguration(
        abstract: "Turn the bypass of a network namespace on.",
        discussion: """
            New connections no longer pass the sidecar; established ones stay where they are. Where the bypass is on \
            already, direction, time, owner and reason are replaced.
            """)

    @OptionGroup var namespace: NamespaceArgument

    @Option(help: "Which connections pass the sidecar by.")
    var direction: Direction = .both

    @Option(
        name: .customLong("for"),
        help: .init("End it by itself after this time: 90, 90s, 15m or 2h.", valueName: "time"),
        transform: TimeToLive.parse)
    var timeToLive: TimeToLive?

    @OptionGroup var attribution: Attribution
    @OptionGroup var condition: Condition
    @OptionGroup var common: CommonOptions

    var parameters: BypassMethod.Parameters {
        .init(
            netns: namespace.netns, state: .on, direction: direction, ttl: timeToLive?.seconds,
            owner: attribution.owner, reason: attribution.reason, ifGeneration: condition.ifGeneration)
    }

    func text(of result: BypassMethod.Result, _ style: Style) -> String {
        describe(result.status, changed: result.changed, style)
    }
}

extension Direction: ExpressibleByArgument {}
