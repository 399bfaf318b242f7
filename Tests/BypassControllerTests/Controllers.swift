import Kubernetes
import Logging
import Testing

@testable import BypassController

extension Controller {
    /// Of node `node-a`, with known sidecars only; logs nothing.
    ///
    /// - Parameter daemon: the path of the daemon's socket.
    init(_ client: APIClient, daemon: String) {
        self.init(
            daemon: DaemonClient(daemon) { _, _ in },
            statusReporter: StatusReporter(client, node: "node-a", logger: .silent), pods: PodLookup(client),
            sidecars: Sidecars(), metrics: ControllerMetrics(), logger: .silent)
    }
}

extension Logger {
    static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
}

/// Waits for it, ten seconds at most.
func until(_ what: String, _ isTrue: () -> Bool) async throws {
    for _ in 0..<2000 where !isTrue() { try await Task.sleep(for: .milliseconds(5)) }
    #expect(isTrue(), "\(what)")
}
