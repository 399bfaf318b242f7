import BypassAPI
import Glibc
import NIOCore
import NIOPosix
import StrictJSON
import Synchronization

/// A socket that answers `status` and `bypass` with a given status, `list` with given bypasses, and records what it was asked.
final class FakeDaemon: Sendable {
    let path: String
    private let answer: BypassStatus
    private let bypasses: [BypassStatus]
    /// Namespaces whose bypass may not be changed, and whose name is not enough to read it.
    private let refused: Set<String>
    private let requests = Mutex<[(method: String, netns: String)]>([])

    private init(_ path: String, answer: BypassStatus, bypasses: [BypassStatus], refusing refused: Set<String>) {
        self.path = path
        self.answer = answer
        self.bypasses = bypasses
        self.refused = refused
    }

    /// The methods that were called, each with its namespace.
    var calls: [String] { requests.withLock { $0.map { "\($0.method) \($0.netns)" } } }

    static func with(
        answer: BypassStatus, bypasses: [BypassStatus] = [], refusing refused: Set<String> = [],
        _ body: (FakeDaemon) async throws -> Void
    ) async throws {
        // Below the limit of a socket's path, and removed when it is closed.
        let daemon = FakeDaemon(
            "/tmp/kmesh-fake-daemon-\(UInt32.random(in: 0 ... .max))", answer: answer, bypasses: bypasses,
            refusing: refused)
        let listener = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .childChannelInitializer { child in
                child.eventLoop.makeCompletedFuture {
                    try child.pipeline.syncOperations.addHandler(Handler(daemon))
                }
            }
            .bind(unixDomainSocketPath: daemon.path, cleanupExistingSocketFile: true).get()
        do {
            try await body(daemon)
        } catch {
            try await daemon.remove(listener)
            throw error
        }
        try await daemon.remove(listener)
    }

    private func remove(_ listener: any Channel) async throws {
        try await listener.close()
        unsafe unlink(path)
    }

    private func respond(to line: [UInt8]) -> String? {
        guard let request = (try? JSONReader.read(line))?.object, case .number(let id)? = request["id"] else {
            return nil
        }
        let netns = request["params"]?.object?["netns"]?.string ?? ""
        let method = request["method"]?.string ?? ""
        requests.withLock { $0.append((method, netns)) }
        if method == "bypass", refused.contains(netns) {
            let error = #"{"code":-32001,"message":"it may not","data":{"kind":"permission-denied"}}"#
            return #"{"jsonrpc":"2.0","id":\#(id.text),"error":\#(error)}"# + "\n"
        }
        if method == "status", refused.contains(netns) {
            let error = #"{"code":-32009,"message":"several namespaces","data":{"kind":"netns-mismatch"}}"#
            return #"{"jsonrpc":"2.0","id":\#(id.text),"error":\#(error)}"# + "\n"
        }
        if method == "list" {
            let list = bypasses.compactMap { try? JSONEncoding.text(of: $0) }.joined(separator: ",")
            return #"{"jsonrpc":"2.0","id":\#(id.text),"result":{"bypasses":[\#(list)]}}"# + "\n"
        }
        guard let status = try? JSONEncoding.text(of: answer) else { return nil }
        let result = status.dropLast() + #","changed":true}"#
        return #"{"jsonrpc":"2.0","id":\#(id.text),"result":\#(result)}"# + "\n"
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let daemon: FakeDaemon
        private var received: [UInt8] = []

        init(_ daemon: FakeDaemon) {
            self.daemon = daemon
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            received += Array(unwrapInboundIn(data).readableBytesView)
            while let end = received.firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(received[..<end])
                received.removeFirst(end + 1)
                guard let text = daemon.respond(to: line) else { continue }
                context.writeAndFlush(NIOAny(ByteBuffer(string: text)), promise: nil)
            }
        }
    }
}
