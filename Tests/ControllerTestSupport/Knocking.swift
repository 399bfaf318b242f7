import NIOCore
import NIOPosix

/// Connects to a port of this node over and over, from several sides at once and without a word, for as long as `body`
/// runs: whenever the server ends, it ends with connections that it has taken and not begun to serve.
public func knocking<Result: Sendable>(
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
