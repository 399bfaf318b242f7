internal import ArgumentParser
internal import Bypass
internal import BypassAPI
internal import BypassClient
internal import Console
internal import SignalHandling
internal import StrictJSON

/// `watch`
struct Watch: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what is bypassed, and then every change, until it is interrupted.",
        discussion: """
            It reconnects when the daemon restarts or the connection ends, and resumes with the next change if the daemon \
            still has it, or else with the whole list.

            EXAMPLES
              kmesh-bypassctl watch
              kmesh-bypassctl watch --json | jq -r 'select(.event == "degraded").bypass.netns'
            """)

    @OptionGroup var common: CommonOptions

    func run() async throws {
        try await reportingFailures(asJSON: common.json) {
            do {
                try await Interruption.cancelling { [self] in try await watch() }
            } catch is Interruption {
                // That is how it ends.
            }
        }
    }

    private func watch() async throws {
        var hasConnected = false
        var isConnected = false
        for await element in BypassWatch(common.path) {
            switch element {
            case .snapshot(let list):
                (hasConnected, isConnected) = (true, true)
                try Console.print(
                    common.json ? JSONEncoding.text(of: list) + "\n" : bypassTable(list.bypasses, .ofStandardOutput))
                if !common.json {
                    for warning in list.warnings ?? [] { try Console.print(Style.ofStandardOutput.warning(warning)) }
                }
            case .change(let name, let event):
                let change = Change(
                    event: name, bypass: event.bypass, cause: event.cause, damage: event.damage,
                    removed: event.removed)
                try Console.print(
                    common.json ? JSONEncoding.text(of: change) + "\n" : Self.line(name, event, .ofStandardOutput))
            case .disconnected(let error):
                if !hasConnected { throw error }
                // Once for each outage.
                if isConnected { Console.printError("\(Self.reason(error)); trying again until the daemon is back") }
                isConnected = false
            case .resumed:
                isConnected = true
                Console.printError("connected again, and nothing was missed")
            }
        }
    }

    /// There was no call whose answer was lost.
    private static func reason(_ error: BypassClientError) -> String {
        error == .connectionClosed ? "the daemon has ended the connection" : "\(error)"
    }

    /// A change as one line, with its warnings below.
    static func line(
        _ name: BypassEvent.Name, _ event: BypassEvent, _ style: Style, accounts: Accounts = .ofThisMachine
    ) -> String {
        let bypass = event.bypass
        var words = [style.now.description, style.paint(name.rawValue, name.color), bypass.netns.printable]
        if name.leavesBypass {
            words += [bypass.directionAndScope].compactMap(\.self)
            if let end = bypass.expiresAt { words.append("expires \(remaining(until: end, now: style.now))") }
            let why = [bypass.owner, bypass.reason].compactMap(\.self)
            if !why.isEmpty { words.append("for \(why.joined(separator: ": ").printable)") }
        }
        if let damage = event.damage, !damage.isEmpty { words.append("after \(damage.joined(separator: ", "))") }
        if let removed = event.removed { words.append("removed \(removed.joined(separator: ", ").printable)") }
        if let cause = event.cause {
            // What ended by itself was turned on by that account.
            let verb = name == .off ? "by" : "set by"
            if let by = cause.by { words.append("\(verb) \(accounts.description(of: by.uid).printable)") }
            let why = [cause.owner, cause.reason].compactMap(\.self)
            if !why.isEmpty { words.append("for \(why.joined(separator: ": ").printable)") }
        }
        let warnings = bypass.warnings.map { style.warning($0, about: bypass.netns) }
        return words.joined(separator: "  ") + "\n" + warnings.joined()
    }

    private struct Change: Encodable {
        let event: BypassEvent.Name
        let bypass: BypassStatus
        let cause: BypassEvent.Cause?
        let damage: [String]?
        let removed: [String]?
    }
}

extension BypassEvent.Name {
    fileprivate var color: Style.Color {
        switch self {
        case .on, .repaired: .green
        case .degraded: .yellow
        case .off, .expired, .gone: .bold
        }
    }
}
