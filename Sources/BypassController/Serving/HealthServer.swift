internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix

/// Answers `/healthz`, `/readyz` and `/metrics` on a port, by default one that only the node itself can reach.
struct HealthServer: Sendable {
    typealias Connection = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>

    private let server: NIOAsyncChannel<Connection, Never>
    private let answer: @Sendable (_ path: String) async -> HealthAnswer?

    /// Listens. Throws if the port cannot be had.
    init(
        host: String, port: Int, _ answer: @escaping @Sendable (_ path: String) async -> HealthAnswer?
    ) async throws {
        server = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .bind(host: host, port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    return try Connection(wrappingChannelSynchronously: channel)
                }
            }
        self.answer = answer
    }

    /// Serves until the task is cancelled.
    func run() async {
        try? await server.executeThenClose { connections in
            try await withThrowingDiscardingTaskGroup { group in
                for try await connection in connections {
                    group.addTask { try? await serve(connection) }
                }
            }
        }
    }

    private func serve(_ connection: Connection) async throws {
        try await connection.executeThenClose { inbound, outbound in
            var path = ""
            for try await part in inbound {
                switch part {
                case .head(let head): path = String(head.uri.prefix { $0 != "?" })
                case .body: break
                case .end:
                    let answer = await answer(path) ?? HealthAnswer(isGood: false, text: "no such page\n")
                    let bytes = ByteBuffer(string: answer.text)
                    let headers: HTTPHeaders = [
                        "Content-Type": "text/plain; version=0.0.4; charset=utf-8",
                        "Content-Length": "\(bytes.readableBytes)",
                    ]
                    let status: HTTPResponseStatus = answer.isGood ? .ok : .serviceUnavailable
                    try await outbound.write(.head(.init(version: .http1_1, status: status, headers: headers)))
                    try await outbound.write(.body(.byteBuffer(bytes)))
                    try await outbound.write(.end(nil))
                }
            }
        }
    }
}
