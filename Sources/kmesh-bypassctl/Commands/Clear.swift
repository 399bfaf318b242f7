internal import ArgumentParser
internal import Bypass
internal import BypassAPI

/// `clear`
struct Clear: DaemonCommand {
    typealias Method = ClearMethod

    static let configuration = CommandConfiguration(
        abstract: "Turn every bypass off, or every one of an owner's.",
        discussion: """
            Whoever wanted them: for an administrator, before the software is removed or when things have got out of hand. \
            If one could not be turned off, the others are all the same, and the exit code is 1.
            """)

    @Option(help: "Only those of this owner, as list shows it.")
    var owner: String?

    @OptionGroup var common: CommonOptions

    var parameters: ClearMethod.Parameters { .init(owner: owner) }

    func text(of result: ClearMethod.Result, _ style: Style) -> String {
        if result.cleared.isEmpty && result.failed.isEmpty { return "no namespace was bypassed\n" }
        let cleared = result.cleared.map { "\($0.netns.printable): bypass is off\n" }
        let failed = result.failed.map { "\($0.netns.printable): still bypassed: \($0.message.printable)\n" }
        return (cleared + failed).joined()
    }

    func isIncomplete(_ result: ClearMethod.Result) -> Bool { !result.failed.isEmpty }
}
