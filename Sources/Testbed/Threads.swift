internal import NIOPosix

/// Where the testbed blocks: threads that may enter a namespace and wait for a peer, which neither an event loop nor the
/// cooperative pool may.
enum Threads {
    /// Lives as long as the process: threads without work cost nothing, and hold no descriptor.
    private static let pool: NIOThreadPool = {
        let pool = NIOThreadPool(numberOfThreads: 4)
        pool.start()
        return pool
    }()

    static func run<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await pool.runIfActive(body)
    }
}

extension Testbed {
    /// Runs what blocks, such as a `LineClient`, on a thread that is for this.
    public static func blocking<Result: Sendable>(
        _ body: @escaping @Sendable () throws -> Result
    ) async throws -> Result {
        try await Threads.run(body)
    }
}
