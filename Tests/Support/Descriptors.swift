package import MeshSandbox
internal import NIOPosix

extension Descriptors {
    /// What is open now and was not in `before`; an empty result is what a test wants. Call `MeshSandbox.warmUp` before
    /// the first census.
    package static func opened(since before: [Int32: String]) throws -> [Int32: String] {
        try open().filter { before[$0.key] != $0.value }
    }
}

extension MeshSandbox {
    /// Opens what stays open for the life of the process however often a sandbox is made: the descriptors by which
    /// swift-subprocess watches its children, and the original namespace's.
    package static func warmUp() async throws {
        try await with { sandbox in _ = try await sandbox.whoAnswers(.outbound, .ipv4) }
        // The event loops of the client library's connections live as long as the process.
        _ = MultiThreadedEventLoopGroup.singleton.next()
    }
}
