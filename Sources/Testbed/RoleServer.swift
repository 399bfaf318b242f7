internal import Glibc
internal import Linux
internal import NIOCore
internal import NIOPosix

/// Who a server says that it is.
enum Role: String, Sendable {
    case app, sidecar
}

enum Port {
    static let app = 8080
    /// Where meshes redirect what the pod sends, and what it is sent.
    static let sidecarOutbound = 15001
    static let sidecarInbound = 15006
}

/// A server that says its role in one line when it accepts a connection, and again for each line that it gets.
enum RoleServer {
    /// Starts a server that runs until `group` is shut down.
    static func start(
        _ role: Role, port: Int, namespace: String, group: MultiThreadedEventLoopGroup
    ) async throws {
        let socket = try await Threads.run { try bind(port: port, namespace: namespace).release() }
        _ = try await ServerBootstrap(group: group)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(RoleHandler(role: role))
                }
            }
            .withBoundSocket(socket)
            .get()
    }

    /// A socket for both families, bound to every address. It belongs to the namespace, whoever accepts from it.
    private static func bind(port: Int, namespace: String) throws -> OwnedDescriptor {
        let address = try SocketAddress(ipAddress: "::", port: port)
        return try NamespaceReference.name(namespace).open().withEntered { () throws(SystemCallError) in
            let socket = try BlockingSocket.open(AF_INET6)
            try BlockingSocket.set(IPPROTO_IPV6, IPV6_V6ONLY, to: CInt(0), of: socket)
            // TPROXY hands a connection over only to a socket that may answer for addresses not its own.
            try BlockingSocket.set(IPPROTO_IPV6, IPV6_TRANSPARENT, to: CInt(1), of: socket)
            try BlockingSocket.bind(socket, to: address)
            return socket
        }
    }
}

private final class RoleHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let line: ByteBuffer

    init(role: Role) {
        line = ByteBuffer(string: role.rawValue + "\n")
    }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(line), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        for byte in unwrapInboundIn(data).readableBytesView where byte == UInt8(ascii: "\n") {
            context.write(wrapOutboundOut(line), promise: nil)
        }
        context.flush()
    }

    /// Probes end by reset, which is no fault.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
