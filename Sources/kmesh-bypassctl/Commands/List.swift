internal import ArgumentParser
internal import BypassAPI

/// `list`
struct List: DaemonCommand {
    typealias Method = ListMethod

    static let configuration = CommandConfiguration(
        abstract: "List the network namespaces that are bypassed.",
        discussion: "Warnings stand below the table, each with the namespace that it is about.")

    @OptionGroup var common: CommonOptions

    var parameters: NoParameters { .init() }

    func text(of result: ListMethod.Result, _ style: Style) -> String { bypassTable(result.bypasses, style) }
}
