internal import CLinux
internal import Glibc
internal import Linux
internal import SystemPackage

/// Room for what the kernel sends, some messages at a time.
@safe
struct ReceiveBuffer: ~Copyable {
    private let start: UnsafeMutableRawPointer

    /// The kernel makes the messages of a dump up to 32 KiB long (net/netlink/af_netlink.c, netlink_dump).
    private static let slotSize = 32 * 1024
    private static let slots = Int(CLINUX_RECEIVE_SLOTS)

    /// Not cleared: what is read is what was received.
    init() {
        unsafe start = UnsafeMutableRawPointer.allocate(byteCount: Self.slotSize * Self.slots, alignment: 8)
    }

    deinit {
        unsafe start.deallocate()
    }

    /// Waits for one message, takes what else is there, and hands each to `body` until that says that it has the last.
    func receive(
        from descriptor: borrowing OwnedDescriptor, for operation: String,
        _ body: (NetlinkMessage) throws(NetfilterError) -> NetlinkSocket.Progress
    ) throws(NetfilterError) -> NetlinkSocket.Progress {
        let number = descriptor.rawValue
        let place = unsafe start
        var lengths = [UInt32](repeating: 0, count: Self.slots)
        let count: CInt
        do {
            count = try systemCall("recvmmsg: \(operation)") {
                unsafe clinux_receive(number, place, UInt32(Self.slotSize), UInt32(Self.slots), &lengths)
            }
        } catch {
            throw .systemCall(error)
        }
        var progress = NetlinkSocket.Progress.more
        for index in 0..<Int(count) where progress == .more {
            let slot = unsafe start + index * Self.slotSize
            #if FAULT_POINTS
                let length = unsafe FaultInjection.corrupt(operation, slot, length: Int(lengths[index]))
            #else
                let length = Int(lengths[index])
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
}
