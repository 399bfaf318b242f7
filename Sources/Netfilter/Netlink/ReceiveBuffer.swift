internal import CLinux
internal import Glibc
internal import Linux
internal import SystemPackage

/// Room for what the kernel sends, some messages at a time.
///
/// The memory comes from a pool: to map, fault in and unmap it for each socket costs more than most calls need it for.
@safe
struct ReceiveBuffer: ~Copyable {
    private let block: Block

    /// The kernel makes the messages of a dump up to 32 KiB long (net/netlink/af_netlink.c, netlink_dump).
    private static let slotSize = 32 * 1024
    static let slots = Int(CLINUX_RECEIVE_SLOTS)

    /// Not cleared: what is read is what was received.
    init() {
        block = Self.pool.withLock { $0.popLast() } ?? Block()
    }

    deinit {
        let block = block
        let isKept = Self.pool.withLock { pool in
            if pool.count >= Self.poolSize { return false }
            pool.append(block)
            return true
        }
        if !isKept { block.deallocate() }
    }

    /// What lies in it has one owner: a buffer, or the pool.
    @safe
    private struct Block: @unchecked Sendable {
        let start: UnsafeMutableRawPointer

        init() {
            unsafe start = UnsafeMutableRawPointer.allocate(
                byteCount: ReceiveBuffer.slotSize * ReceiveBuffer.slots + MemoryLayout<UInt32>.size
                    * ReceiveBuffer.slots,
                alignment: 8)
        }

        func deallocate() {
            unsafe start.deallocate()
        }

        /// Behind the slots: how long what lies in each is.
        var lengths: UnsafeMutablePointer<UInt32> {
            unsafe (start + ReceiveBuffer.slotSize * ReceiveBuffer.slots).assumingMemoryBound(to: UInt32.self)
        }
    }

    /// The buffer that was used last is taken first: its pages are in the processor's caches.
    private static let pool = Monitor<[Block]>([])
    /// As many as there are calls at once, most of the time.
    private static let poolSize = 8

    /// Takes what is there, and hands each message to `body` until that says that it has the last.
    ///
    /// The kernel answers while it is asked, and goes on with a dump while a part of it is received: what is not there now
    /// does not come any more, so nothing is waited for. EAGAIN is thrown where there is no answer.
    func receive(
        from descriptor: borrowing OwnedDescriptor, for operation: StaticString,
        _ body: (NetlinkMessage) throws(NetfilterError) -> NetlinkSocket.Progress
    ) throws(NetfilterError) -> NetlinkSocket.Progress {
        let count = try take(from: descriptor, for: operation)
        let (place, lengths) = unsafe (block.start, block.lengths)
        var progress = NetlinkSocket.Progress.more
        for index in 0..<count where progress == .more {
            let slot = unsafe place + index * Self.slotSize
            #if FAULT_POINTS
                let length = unsafe FaultInjection.corrupt("\(operation)", slot, length: Int(lengths[index]))
            #else
                let length = unsafe Int(lengths[index])
            #endif
            // The kernel cuts off what does not fit, and says how long it was.
            guard length <= Self.slotSize else {
                throw .systemCall(SystemCallError("recvmmsg: \(operation)", .messageTooLong))
            }
            var messages = unsafe NetlinkMessages(UnsafeRawBufferPointer(start: slot, count: length))
            while progress == .more, let message = messages.next() { progress = try body(message) }
            // What cannot be read may have been what is waited for.
            guard progress == .done || messages.isAtEnd else {
                throw .systemCall(SystemCallError("recvmmsg: \(operation)", .badMessage))
            }
        }
        return progress
    }

    /// Receives the pending datagrams without parsing them, and returns how many there were. Throws EAGAIN if there are
    /// none.
    @discardableResult
    func take(
        from descriptor: borrowing OwnedDescriptor, for operation: StaticString
    ) throws(NetfilterError) -> Int {
        let number = descriptor.rawValue
        let (place, lengths) = unsafe (block.start, block.lengths)
        do {
            let count = try systemCall("recvmmsg: \(operation)") {
                unsafe clinux_receive(number, place, UInt32(Self.slotSize), UInt32(Self.slots), lengths)
            }
            return Int(count)
        } catch {
            throw .systemCall(error)
        }
    }
}
