internal import BypassAPI
internal import BypassClient

/// The daemon's metrics, for the controller's page: the daemon itself has no port. It is asked once in a while however often the
/// page is, and has little time to answer: without an answer the page shows the controller's own metrics alone.
actor DaemonMetrics {
    private static let timeout = Duration.seconds(2)
    private static let lifetime = Duration.seconds(5)

    private let path: String
    private var latest: Task<String, Never>?
    private var expiry = ContinuousClock.now

    /// - Parameter path: the daemon's socket.
    init(_ path: String) {
        self.path = path
    }

    var text: String {
        get async {
            if let latest, .now < expiry { return await latest.value }
            let task = Task { [path] in
                do throws(BypassClientError) {
                    let client = try await BypassClient.connect(to: path, timeout: Self.timeout)
                    let result = try? await client.call(MetricsMethod.self, with: .init())
                    await client.close()
                    return result?.text ?? ""
                } catch {
                    return ""
                }
            }
            (latest, expiry) = (task, .now + Self.lifetime)
            return await task.value
        }
    }
}
