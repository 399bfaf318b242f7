import ArgumentParser
import BypassController

/// For the kubelet, which cannot reach a loopback port itself.
struct Probe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ask a controller that runs here whether it is well: exit status 0 or 1.")

    enum Page: String, CaseIterable, ExpressibleByArgument {
        case healthz, readyz, metrics
    }

    @Argument(help: "healthz: it runs. readyz: it does its work. metrics: what it has counted.")
    var page: Page

    @OptionGroup var health: HealthAddress

    func run() async throws {
        let answer = await HealthProbe.ask(host: health.host, port: health.port, "/" + page.rawValue)
        print(answer.text, terminator: "")
        if !answer.isGood { throw ExitCode(1) }
    }
}
