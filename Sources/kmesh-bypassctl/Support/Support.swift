internal import ArgumentParser
internal import Bypass
internal import BypassAPI
internal import BypassClient
internal import Console
internal import Linux
internal import StrictJSON

/// `support NETNS`
struct Support: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Collect what an issue about one network namespace needs, in one archive.",
        discussion: """
            Versions, info, status, explain, the rules of nftables and iptables-legacy (as root), doctor, and the last audit \
            records of this namespace. Left out: names of other namespaces and comments of rules. No environment, no policy and \
            no packet is read. Owners, reasons and addresses of this namespace are in it: read it before you publish it.

            EXAMPLE
              sudo kmesh-bypassctl support web
            """)

    @OptionGroup var namespace: NamespaceArgument

    @Option(
        help: .init("The archive (default: kmesh-bypass-support-TIME.tar.gz in this folder).", valueName: "file"),
        completion: .file())
    var output: String?

    @Option(help: .init("The folder of the daemon's pins.", valueName: "folder"))
    var bpffs = "/sys/fs/bpf"

    @OptionGroup var common: CommonOptions

    func run() async throws {
        try await reportingFailures(asJSON: common.json, naming: namespace.netns) {
            let netns = try await PodName.resolving(namespace.netns)
            try Self.check(netns)
            let time = "\(Console.now)".filter { $0.isNumber || $0 == "T" || $0 == "Z" }
            let name = "kmesh-bypass-support-" + time
            let archive = output ?? name + ".tar.gz"
            let report = await SupportReport.collect(netns, socket: common.path, bpffs: bpffs)
            try await report.write(to: archive, folder: name)
            try Console.print(
                common.json
                    ? JSONEncoding.text(of: ["archive": archive]) + "\n"
                    : "\(archive.printable): \(report.files.map(\.name).joined(separator: ", "))\n"
                        + "read it before you publish it: addresses, owners and reasons of \(netns.printable) are in it\n"
            )
        }
    }

    /// An archive about a name that leads nowhere is of no use. One that cannot be opened is another matter: it says why.
    private static func check(_ netns: String) throws(CommandFailure) {
        do throws(CommandFailure) {
            _ = try PodEntrance.open(netns)
        } catch {
            if [.usage, .noNamespace].contains(error.status) { throw error }
        }
    }
}
