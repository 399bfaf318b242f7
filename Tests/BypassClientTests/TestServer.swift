import BypassClient
import Glibc
import JSONRPC
import NIOCore
import NIOPosix
import StrictJSON
import Synchronization

/// A daemon for one test: a socket in a folder of its own, and a script that says what is sent when.
final class TestServer: Sendable {
    enum Reaction: Sendable {
        case nothing
        case send([String])
        /// Sends the text as it is, and closes.
        case closing(String)
    }

    /// What to do after each request, and before the first, given the requests that one connection has sent so far.
    typealias Script = @Sendable ([Request]) -> Reaction

    private let script: Script
    private let lines = Mutex<[String]>([])

    init(_ script: @escaping Script) {
        self.script = script
    }

    /// The lines that came in.
    var received: [String] { lines.withLock { $0 } }

    /// Runs `body` with a client of this server.
    func run(timeout: Duration = .seconds(30), _ body: (BypassClient) async throws -> Void) async throws {
        try await withTemporaryFolder { folder in
            let path = folder + "/daemon.sock"
            let channel = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .childChannelInitializer { child in
                    child.eventLoop.makeCompletedFuture {
                        try child.pipeline.syncOperations.addHandler(Actor(self))
                    }
                }
                .bind(unixDomainSocketPath: path).get()
            defer { channel.close(promise: nil) }
            let client = try await BypassClient.connect(to: path, timeout: timeout)
            try await body(client)
            await client.close()
        }
    }

    /// Plays the script on one connection.
    private final class Actor: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let server: TestServer
        private var framer = LineFramer()
        private var requests: [Request] = []

        init(_ server: TestServer) {
            self.server = server
        }

        func channelActive(context: ChannelHandlerContext) { play(context) }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = unwrapInboundIn(data)
            framer.feed(bytes.readableBytesUInt8Span)
            while case .line(let line) = framer.next() {
                server.lines.withLock { $0.append(String(decoding: line, as: UTF8.self)) }
                guard case .single(.request(let request)) = Incoming.read(line) else { continue }
                requests.append(request)
                play(context)
            }
        }

        private func play(_ context: ChannelHandlerContext) {
            func send(_ text: String) {
                context.writeAndFlush(NIOAny(ByteBuffer(string: text)), promise: nil)
            }
            switch server.script(requests) {
            case .nothing: break
            case .send(let lines): send(lines.map { $0 + "\n" }.joined())
            case .closing(let text):
                send(text)
                context.close(promise: nil)
            }
        }
    }
}

extension Request {
    /// The id as it stands in an answer.
    var idText: String {
        guard case .number(let number) = id else { return "null" }
        return number.text
    }

    var netns: String {
        guard case .named(let params) = params else { return "" }
        return params["netns"]?.string ?? ""
    }

    func answer(result: String) -> String { #"{"jsonrpc":"2.0","id":\#(idText),"result":\#(result)}"# }
    func answer(error: String) -> String { #"{"jsonrpc":"2.0","id":\#(idText),"error":\#(error)}"# }

    /// The answer to `status`, with something in it that this client does not know.
    var statusAnswer: String {
        answer(
            result: """
                {"netns":"\(netns)","inode":4026532281,"state":"off","effective":false,"direction":null,"since":null,\
                "expiresAt":null,"owner":null,"reason":null,"setBy":null,"rules":[],"warnings":[],"later":{"added":1}}
                """)
    }
}

func withTemporaryFolder(_ body: (String) async throws -> Void) async throws {
    var template = Array((P_tmpdir + "/kmesh-bypass-XXXXXX").utf8CString)
    guard
        let name = unsafe template.withUnsafeMutableBufferPointer({ buffer in
            unsafe mkdtemp(buffer.baseAddress!).map { unsafe String(cString: $0) }
        })
    else { throw IOError(errnoCode: errno, reason: "mkdtemp") }
    defer {
        unsafe unlink(name + "/daemon.sock")
        unsafe rmdir(name)
    }
    try await body(name)
}
