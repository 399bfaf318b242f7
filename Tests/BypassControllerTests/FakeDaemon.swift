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
    /// Namespaces whose name is not enough without an address.
    private let ambiguous: Set<String>
    private let requests = Mutex<[(method: String, parameters: JSONObject?)]>([])

    private init(
        _ path: String, answer: BypassStatus, bypasses: [BypassStatus], refusing refused: Set<String>,
        ambiguous: Set<String>
    ) {
        self.path = path
        self.answer = answer
        self.bypasses = bypasses
        self.refused = refused
        self.ambiguous = ambiguous
    }

    /// The methods that were called, each with its namespace.
    var calls: [String] {
        requests.withLock { $0.map { "\($0.method) \($0.parameters?["netns"]?.string ?? "")" } }
    }

    /// The parameters of the changes that were not refused.
    var changes: [JSONObject] {
        requests.withLock { $0.filter { $0.method == "bypass" && !refuses($0.parameters) }.compactMap(\.parameters) }
    }

    static func with(
        answer: BypassStatus, bypasses: [BypassStatus] = [], refusing refused: Set<String> = [],
        ambiguous: Set<String> = [], _ body: (FakeDaemon) async throws -> Void
    ) async throws {
        // Below the limit of a socket's path, and removed when it is closed.
        let daemon = FakeDaemon(
            "/tmp/kmesh-fake-daemon-\(UInt32.random(in: 0 ... .max))", answer: answer, bypasses: bypasses,
            refusing: refused, ambiguous: ambiguous)
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
        let parameters = request["params"]?.object
        let netns = parameters?["netns"]?.string ?? ""
        let method = request["method"]?.string ?? ""
        requests.withLock { $0.append((method, parameters)) }
        if method == "bypass", refused.contains(netns) {
            let error = #"{"code":-32001,"message":"it may not","data":{"kind":"permission-denied"}}"#
            return #"{"jsonrpc":"2.0","id":\#(id.text),"error":\#(error)}"# + "\n"
        }
        if ["bypass", "status"].contains(method), refuses(parameters) {
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

    private func refuses(_ parameters: JSONObject?) -> Bool {
        guard let netns = parameters?["netns"]?.string else { return false }
        return refused.contains(netns)
            || ambiguous.contains(netns) && (parameters?["expectAddresses"] ?? .null) == .null
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
