public import ArgumentParser
internal import Bypass
public import BypassAPI
internal import Console

/// `on NETNS`
struct On: NamespaceCommand {
    typealias Method = BypassMethod

    static let configuration = CommandConfiguration(
        abstract: "Turn the bypass of a network namespace on.",
        discussion: """
            New connections no longer pass the sidecar, and UDP at once; established connections keep their path, unless \
            --reset ends them. If the bypass is on already, direction, scope, time limit, owner and reason are replaced. A \
            connection that is not in the scope goes to the sidecar as without a bypass. The exit code is 2 if some or all \
            connections of that direction and scope still go to the sidecar: the warnings say why.

            EXAMPLES
              kmesh-bypassctl on web --for 15m --reason INC-4711
              kmesh-bypassctl on default/web-0 --direction inbound --port 8080
            """)

    @OptionGroup var namespace: NamespaceArgument

    @Option(help: "The direction of the connections that bypass the sidecar.")
    var direction: Direction = .both

    @OptionGroup(title: "Scope") var scope: ScopeOptions

    @Option(
        name: .customLong("for"),
        help: .init("Expire after this time: 90, 90s, 15m, 1h30m or 1d.", valueName: "time"),
        transform: TimeToLive.parse)
    var timeToLive: TimeToLive?

    @Flag(help: "End open TCP connections that are still in the sidecar, so that they are made again.")
    var reset = false

    @Flag(help: "Show the daemon's rules, with their counters.")
    var rules = false

    @OptionGroup var attribution: Attribution
    @OptionGroup var precondition: Precondition
    @OptionGroup var common: CommonOptions

    mutating func prepare() async throws {
        try await namespace.resolve()
        attribution.setDefaultOwner()
    }

    var parameters: BypassMethod.Parameters {
        get throws {
            let scope = try scope.scope
            return .init(
                netns: namespace.netns, state: .on, direction: direction, ttl: timeToLive?.seconds,
                owner: attribution.owner, reason: attribution.reason, ifGeneration: precondition.ifGeneration,
                only: scope.only, except: scope.except, connections: reset ? .reset : nil)
        }
    }

    func text(of result: BypassMethod.Result, _ style: Style) -> String {
        describe(
            result.status, changed: result.changed, ended: reset ? result.ended : nil, withRules: rules, style)
    }

    func failure(in result: BypassMethod.Result) -> ExitStatus? { ExitStatus(result.status) }
}

extension Direction: ExpressibleByArgument {}

/// `off NETNS`
struct Off: NamespaceCommand {
    typealias Method = BypassMethod

    static let configuration = CommandConfiguration(
        abstract: "Turn the bypass of a network namespace off.",
        discussion: """
            New connections pass the sidecar again, and UDP at once; established connections keep their path, unless \
            --reset ends them. Succeeds if the bypass is off already.

            EXAMPLES
              kmesh-bypassctl off web
              kmesh-bypassctl off web --reset --reason 'INC-4711 is over'
            """)

    @OptionGroup var namespace: BypassedNamespaceArgument

    @Flag(help: "End open TCP connections that bypass the sidecar, so that they are made again.")
    var reset = false

    @Flag(help: "Remove rules of other programs that bypass the sidecar, such as Kmesh's: those that a warning names.")
    var foreign = false

    @OptionGroup var attribution: Attribution
    @OptionGroup var precondition: Precondition
    @OptionGroup var common: CommonOptions

    mutating func prepare() async throws {
        try await namespace.resolve()
        attribution.setDefaultOwner()
    }

    var parameters: BypassMethod.Parameters {
        .init(
            netns: namespace.netns, state: .off, owner: attribution.owner, reason: attribution.reason,
            ifGeneration: precondition.ifGeneration, connections: reset ? .reset : nil, foreign: foreign ? true : nil)
    }

    func text(of result: BypassMethod.Result, _ style: Style) -> String {
        describe(result.status, changed: result.changed, ended: reset ? result.ended : nil, style)
            + result.removed.map { "removed: \($0.printable)\n" }.joined()
    }
}

/// `extend NETNS`
struct Extend: NamespaceCommand {
    typealias Method = ExtendMethod

    static let configuration = CommandConfiguration(
        abstract: "Give the bypass of a network namespace more time.",
        discussion: """
            This never makes it expire sooner. Nothing else about it changes.

            EXAMPLE
              kmesh-bypassctl extend web --for 1h
            """)

    @OptionGroup var namespace: BypassedNamespaceArgument

    @Option(
        name: .customLong("for"),
        help: .init("Expire that long from now: 90, 90s, 15m, 1h30m or 1d.", valueName: "time"),
        transform: TimeToLive.parse)
    var timeToLive: TimeToLive

    @OptionGroup var precondition: Precondition
    @OptionGroup var common: CommonOptions

    var parameters: ExtendMethod.Parameters {
        .init(netns: namespace.netns, ttl: timeToLive.seconds, ifGeneration: precondition.ifGeneration)
    }

    func text(of result: BypassMethod.Result, _ style: Style) -> String {
        describe(result.status, changed: result.changed, style)
    }
}

/// `clear`
struct Clear: DaemonCommand {
    typealias Method = ClearMethod

    static let configuration = CommandConfiguration(
        abstract: "Turn every bypass off, or every bypass of one owner.",
        discussion: """
            For an administrator, before the software is removed or in an emergency. A failure does not stop the rest; \
            the exit code is then 1.

            EXAMPLES
              kmesh-bypassctl clear --owner kubernetes:default/web-0
              kmesh-bypassctl clear
            """)

    @Option(help: "Only those of this owner, as list shows it.")
    var owner: String?

    @OptionGroup var common: CommonOptions

    var parameters: ClearMethod.Parameters { .init(owner: owner) }

    func text(of result: ClearMethod.Result, _ style: Style) -> String {
        if result.cleared.isEmpty && result.failed.isEmpty {
            return owner.map { "no bypass has the owner \($0.quoted)\n" } ?? "no namespace was bypassed\n"
        }
        let cleared = result.cleared.map { "\($0.netns.printable): bypass is off\n" }
        let failed = result.failed.map { "\($0.netns.printable): still bypassed: \($0.message.printable)\n" }
        return (cleared + failed).joined()
    }

    func failure(in result: ClearMethod.Result) -> ExitStatus? { result.failed.isEmpty ? nil : .failed }
}

extension TimeToLive {
    /// As `--for` takes it.
    static func parse(_ text: String) throws -> TimeToLive {
        do throws(Malformed) {
            return try TimeToLive(text)
        } catch {
            throw ValidationError(error.description)
        }
    }
}
