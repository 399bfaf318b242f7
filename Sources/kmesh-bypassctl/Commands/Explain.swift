public import ArgumentParser
public import BypassAPI
internal import Console

/// `explain NETNS`
struct Explain: NamespaceCommand {
    typealias Method = ExplainMethod

    static let configuration = CommandConfiguration(
        abstract: "Show the path of a connection's first packet through a network namespace, and where it ends.",
        discussion: """
            Without --to, examples in both directions. The first line of each says where the packet ends, which process \
            listens there, and whether the kernel traced a packet or the rules were evaluated. Each further line is a rule \
            that matches, or the end of a base chain; '>' marks what decides. Nothing is changed.

            EXAMPLES
              kmesh-bypassctl explain web
              kmesh-bypassctl explain web --to 192.0.2.1:80 --uid 1000
            """)

    @OptionGroup var namespace: NamespaceArgument

    @Option(help: .init("The destination, such as 192.0.2.1:80 or [2001:db8::1]:80.", valueName: "address:port"))
    var to: String?

    @Option(help: .init("The source address.", valueName: "address"))
    var from: String?

    @Option(help: "tcp or udp (default: tcp).")
    var `protocol`: ExplainMethod.TransportProtocol?

    @Option(help: "User and group of the process that connects (default: 0).")
    var uid: Int?

    @OptionGroup var common: CommonOptions

    var parameters: ExplainMethod.Parameters {
        .init(netns: namespace.netns, to: to, from: from, protocol: `protocol`, uid: uid)
    }

    func text(of result: ExplainMethod.Result, _ style: Style) -> String { explanation(result, style) }
}

extension ExplainMethod.TransportProtocol: ExpressibleByArgument {}
