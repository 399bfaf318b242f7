internal import ArgumentParser
internal import Bypass
internal import BypassAPI
internal import BypassClient
internal import Console
internal import StrictJSON

/// `namespaces`
struct Namespaces: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List what can be named on this machine: files of /run/netns, pods and containers.",
        discussion: """
            The names are read here, with your permissions; what the daemon knows of each is what the policy lets you see. \
            REDIRECTED says whether rules in the namespace redirect connections to a proxy. '?' means that it is not known.

            EXAMPLES
              kmesh-bypassctl namespaces
              kmesh-bypassctl namespaces --json | jq -r '.namespaces[] | select(.redirected).netns'
            """)

    // For shell completion, which must not wait for a daemon.
    @Flag(help: .private)
    var names = false

    @OptionGroup var common: CommonOptions

    func run() async throws {
        try await reportingFailures(asJSON: common.json) {
            let (namespaces, unknown) = KnownNamespace.all()
            if names { return try Console.print(completions(namespaces.map(\.name))) }
            let client = try await BypassClient.connect(to: common.path)
            var rows: [Row] = []
            for namespace in namespaces {
                guard let row = try await Self.row(namespace, client) else { continue }
                rows.append(row)
            }
            await client.close()
            let style = Style.ofStandardOutput
            try Console.print(
                common.json ? JSONEncoding.text(of: ["namespaces": rows]) + "\n" : Self.table(rows, style))
            if let unknown { Console.printError("warning: there may be more: \(unknown)") }
        }
    }

    /// A namespace, and what the daemon says of it.
    struct Row: Encodable {
        var netns: String
        var pid: Int32?
        var program: String?
        var inode: UInt64?
        var redirected: Bool?
        var state: BypassStatus.State?
        var direction: Direction?
        /// The kind of the daemon's error, if it refused.
        var error: String?
    }

    /// nil of a name that has gone meanwhile, and of a file that is not a network namespace.
    private static func row(_ namespace: KnownNamespace, _ client: BypassClient) async throws -> Row? {
        var row = Row(netns: namespace.name, pid: namespace.process, program: namespace.program)
        do throws(BypassClientError) {
            let status = try await client.status(netns: namespace.name)
            (row.inode, row.redirected, row.state) = (status.inode, status.redirected, status.state)
            row.direction = status.direction
        } catch {
            guard case .refused(let refusal) = error else { throw error }
            switch refusal.known {
            case .netnsNotFound, .notANetns: return nil
            default: row.error = refusal.kind ?? "error \(refusal.code)"
            }
        }
        return row
    }

    static func table(_ rows: [Row], _ style: Style) -> String {
        guard !rows.isEmpty else {
            return "nothing can be named here: there is no file in /run/netns, pod or container\n"
        }
        let titles = ["NETNS", "PROCESS", "REDIRECTED", "BYPASS"].map { Cell($0, .bold) }
        let cells = rows.map { row in
            [
                Cell(row.netns),
                Cell(row.pid.map { "\($0)" + (row.program.map { " \($0)" } ?? "") } ?? "-"),
                Cell(row.redirected.map { $0 ? "yes" : "no" } ?? "?"),
                Cell(row.bypass, row.state?.color),
            ]
        }
        return TextTable(rows: [titles] + cells, cuttable: [1, 2, 3, 0]).text(style)
    }
}

extension Namespaces.Row {
    fileprivate var bypass: String {
        if let error { return "? (\(error))" }
        return ([state?.rawValue] + [direction?.rawValue]).compactMap(\.self).joined(separator: ", ")
    }
}
