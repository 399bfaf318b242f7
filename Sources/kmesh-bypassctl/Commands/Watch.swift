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
            """)

    @OptionGroup var common: CommonOptions

    func run() async throws {
        do {
            try await Interruption.cancelling { [self] in try await watch() }
        } catch is Interruption {
            // That is how it ends.
        } catch let error as OutputError {
            if !error.isReaderGone { Console.printError("cannot write the output: \(error)") }
            throw ExitCode(ExitStatus.failed.rawValue)
        }
    }

    private func watch() async throws {
        var hasConnected = false
        var isConnected = false
        for await element in BypassWatch(common.path) {
            switch element {
            case .snapshot(let bypasses):
                (hasConnected, isConnected) = (true, true)
                let list = ListMethod.Result(bypasses: bypasses)
                try Console.print(
                    common.json ? JSONEncoding.text(of: list) + "\n" : bypassTable(bypasses, .ofStandardOutput))
            case .change(let name, let event):
                let bypass = event.bypass
                let change = Change(event: name, bypass: bypass)
                try Console.print(
                    common.json
                        ? JSONEncoding.text(of: change) + "\n" : Self.line(name, bypass, .ofStandardOutput))
            case .disconnected(let error):
                if !hasConnected {
                    Console.printError(advice(on: error))
                    throw ExitCode(ExitStatus(error).rawValue)
                }
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
    static func line(_ name: BypassEvent.Name, _ bypass: BypassStatus, _ style: Style) -> String {
        var words = [style.now.description, style.paint(name.rawValue, name.color), bypass.netns.printable]
        if name.leavesBypass {
            words += [bypass.direction?.rawValue, bypass.scope == .all ? nil : "\(bypass.scope)"].compactMap(\.self)
            if let end = bypass.expiresAt { words.append("expires \(remaining(until: end, now: style.now))") }
            if let owner = bypass.owner { words.append("for \(owner.printable)") }
        }
        let warnings = bypass.warnings.map { style.warning($0, about: bypass.netns) }
        return words.joined(separator: "  ") + "\n" + warnings.joined()
    }

    private struct Change: Encodable {
        let event: BypassEvent.Name
        let bypass: BypassStatus
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
