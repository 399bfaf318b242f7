internal import ArgumentParser
internal import BypassAPI
internal import Console
internal import Kubernetes
internal import PodBypass
internal import StrictJSON

/// `status TARGET…`
struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the bypasses of pods.",
        discussion: """
            EXAMPLES
              kubectl bypass status web-0
              kubectl bypass status deploy/web -o json
            """)

    @OptionGroup var targets: TargetOptions
    @OptionGroup var cluster: ClusterOptions

    func run() async throws {
        try await cluster.withCluster { cluster in
            let (found, failures) = try await cluster.pods(of: targets)
            let pods = found.map { PodReport($0) }
            for failure in failures { Console.printError(failure.message) }
            if self.cluster.isJSON {
                try Console.printJSON(pods, failures)
            } else {
                let style = Style.ofStandardOutput
                try Console.print(pods.map { $0.block(style) }.joined(separator: "\n"))
            }
            if !failures.isEmpty { throw ExitCode(Outcome.failed.rawValue) }
            if pods.contains(where: \.isNotEffective) { throw ExitCode(Outcome.notEffective.rawValue) }
        }
    }
}

/// `list`
struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the pods that are to be outside the mesh.",
        discussion: """
            All pods with the label: since when, for how long, by whom and why, and what the controller says. SINCE and BY \
            are what 'kubectl bypass on' has noted on the pod.

            EXAMPLES
              kubectl bypass list -A
              kubectl bypass list -l app=web -o json
            """)

    @Flag(name: [.customShort("A"), .long], help: "In all namespaces.")
    var allNamespaces = false

    @Option(
        name: [.customShort("l"), .long], help: .init("Only pods with these labels, too: app=web.", valueName: "labels")
    )
    var selector: String?

    @OptionGroup var cluster: ClusterOptions

    func run() async throws {
        try await cluster.withCluster { cluster in
            let place = allNamespaces ? nil : cluster.namespace
            let others = self.selector.flatMap { $0.isBlank ? nil : $0 }
            let selector = [BypassLabel.selector, others].compactMap(\.self).joined(separator: ",")
            let pods = try await cluster.reporting(.list, in: place) { () throws(APIError) in
                try await cluster.pods(selector, in: place)
            }
            let reports = pods.map { PodReport($0) }
            if self.cluster.isJSON { return try Console.printJSON(reports) }
            if reports.isEmpty { return try Console.print("no pod \(Cluster.words(place)) is bypassed\n") }
            try Console.print(reports.table(withNamespaces: allNamespaces, Style.ofStandardOutput))
        }
    }
}

extension Console {
    /// Prints the whole of `-o json`.
    static func printJSON(_ pods: [PodReport], _ failures: [Failure] = []) throws {
        try print(JSONEncoding.text(of: PodReports(pods: pods, errors: failures.map(\.message))) + "\n")
    }
}
