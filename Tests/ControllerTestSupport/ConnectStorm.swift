import NIOCore
import NIOPosix

/// Opens and closes connections to a local port from several tasks, without sending anything, while `body` runs: whenever the
/// server stops, it has connections that it has accepted and not yet served.
public func withConnectStorm<Result: Sendable>(
    on port: Int, during body: @Sendable () async throws -> Result
) async throws -> Result {
    try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<8 {
            group.addTask {
                while !Task.isCancelled {
                    let bootstrap = ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                    guard let channel = try? await bootstrap.connect(host: "127.0.0.1", port: port).get() else {
                        await Task.yield()
                        continue
                    }
                    try? await channel.close()
                }
            }
        }
        defer { group.cancelAll() }
        return try await body()
    }
}
