import NIOCore
import NIOEmbedded

/// What a socket does to a connection, in front of an `EmbeddedChannel` that has none: it takes only as much as the
/// client reads, says when there is no room, can be shut down for writing alone, and drops at its close what it has
/// not taken.
final class SocketModel: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer

    /// NIO's own marks.
    static let highWaterMark = 64 * 1024
    static let lowWaterMark = 32 * 1024

    /// How many bytes the client's end still takes.
    private(set) var room = Int.max
    private(set) var received = ByteBuffer()
    private(set) var isOutputClosed = false
    private var written = ByteBuffer()
    private var flushed = 0
    private var waiting: [(end: Int, promise: EventLoopPromise<Void>?)] = []
    private var taken = 0

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard !isOutputClosed else {
            promise?.fail(ChannelError.outputClosed)
            return
        }
        var bytes = unwrapOutboundIn(data)
        written.writeBuffer(&bytes)
        waiting.append((taken + written.readableBytes, promise))
        if written.readableBytes > Self.highWaterMark { setWritable(false, context) }
    }

    func flush(context: ChannelHandlerContext) {
        flushed = written.readableBytes
        move(context)
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if mode == .output {
            isOutputClosed = true
            promise?.succeed()
            return
        }
        for (_, promise) in waiting { promise?.fail(ChannelError.ioOnClosedChannel) }
        waiting = []
        written = ByteBuffer()
        context.close(mode: mode, promise: promise)
    }

    /// The client stops to read, or reads so much more.
    func setRoom(_ bytes: Int, _ channel: EmbeddedChannel) throws {
        room = bytes
        move(try channel.pipeline.syncOperations.context(handler: self))
    }

    private func move(_ context: ChannelHandlerContext) {
        let count = min(room, flushed)
        guard var bytes = written.readSlice(length: count) else { return }
        flushed -= count
        taken += count
        if room != .max { room -= count }
        received.writeBuffer(&bytes)
        while let first = waiting.first, first.end <= taken {
            waiting.removeFirst()
            first.promise?.succeed()
        }
        if written.readableBytes < Self.lowWaterMark { setWritable(true, context) }
    }

    private func setWritable(_ isWritable: Bool, _ context: ChannelHandlerContext) {
        guard let channel = context.channel as? EmbeddedChannel, channel.isWritable != isWritable else { return }
        channel.isWritable = isWritable
        context.fireChannelWritabilityChanged()
    }

    /// How many bytes are kept for the client.
    var unsent: Int { written.readableBytes }

    /// Everything that the client has received since the last call.
    func takeReceived() -> String {
        defer { received = ByteBuffer() }
        return String(buffer: received)
    }
}
