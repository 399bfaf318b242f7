internal import CLinux
internal import Glibc
internal import Synchronization
internal import SystemPackage

/// A connected stream socket that one thread serves: nothing here waits but `wait`.
package struct StreamSocket: ~Copyable, Sendable {
    private let descriptor: OwnedDescriptor
    /// Whether the kernel lets the peer send descriptors, or has let it.
    private let mayBringDescriptors: Bool

    package init(_ descriptor: consuming OwnedDescriptor) {
        mayBringDescriptors = !Self.refuseDescriptors(descriptor)
        // A byte that is sent as urgent, with descriptors or without, would be passed over by a look at what has arrived.
        _ = clinux_receive_urgent_inline(descriptor.rawValue)
        self.descriptor = descriptor
    }

    /// Has the kernel refuse descriptors that a client sends from now on to this socket, or, if it listens, to the sockets of
    /// those who connect from now on.
    ///
    /// - Returns: false if some may have arrived already, or the kernel is older than Linux 6.16 and cannot refuse them.
    @discardableResult
    static func refuseDescriptors(_ socket: borrowing OwnedDescriptor) -> Bool {
        let number = socket.rawValue
        return (try? systemCall("setsockopt SO_PASSRIGHTS") { clinux_refuse_descriptors(number) }) == 0
    }

    package enum Received: Equatable {
        /// So many bytes were taken.
        case bytes(Int)
        /// The peer has ended its output, or is gone.
        case endOfStream
        /// Nothing is there yet.
        case nothing
        /// What is there comes with descriptors, and is not taken: to close them could take as long as the peer likes.
        case descriptors
    }

    /// Takes what has arrived. Nothing is held for a connection on which nothing arrives.
    ///
    /// - Parameters:
    ///   - limit: bytes; up to 1024 take no memory but the stack's.
    ///   - take: gets the bytes, if there are any.
    package borrowing func receive(atMost limit: Int, _ take: (Span<UInt8>) -> Void) -> Received {
        let number = descriptor.rawValue
        // Not cleared: what is read is what was received.
        return unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: limit) { buffer in
            do throws(SystemCallError) {
                var limit = limit
                if mayBringDescriptors {
                    let (count, hasDescriptors) = unsafe try peek(buffer)
                    if hasDescriptors { return .descriptors }
                    limit = count
                }
                let count = try systemCall("recv from the client") {
                    unsafe recv(number, buffer.baseAddress, limit, CInt(MSG_DONTWAIT))
                }
                if count == 0 { return .endOfStream }
                unsafe take(buffer.span.extracting(first: count))
                return .bytes(count)
            } catch {
                // A client that is gone is not a fault of the daemon's.
                return error.errno == .resourceTemporarilyUnavailable ? .nothing : .endOfStream
            }
        }
    }

    /// - Returns: how many bytes are there, 0 at the end of the stream, and whether descriptors have come with one of them.
    private borrowing func peek(
        _ buffer: UnsafeMutableBufferPointer<UInt8>
    ) throws(SystemCallError) -> (count: Int, hasDescriptors: Bool) {
        let number = descriptor.rawValue
        var hasDescriptors: CInt = 0
        let count = try systemCall("recvmsg from the client") {
            unsafe clinux_peek(number, buffer.baseAddress, UInt32(buffer.count), &hasDescriptors)
        }
        return (Int(count), hasDescriptors != 0)
    }

    /// Sends as much of `bytes` as the peer has room for.
    ///
    /// - Returns: how much; nil if the peer is gone.
    package borrowing func send(_ bytes: ArraySlice<UInt8>) -> Int? {
        let number = descriptor.rawValue
        do {
            return try systemCall("send to the client") {
                unsafe bytes.withUnsafeBytes {
                    unsafe Glibc.send(number, $0.baseAddress, $0.count, CInt(MSG_DONTWAIT) | CInt(MSG_NOSIGNAL))
                }
            }
        } catch {
            return error.errno == .resourceTemporarilyUnavailable ? 0 : nil
        }
    }

    /// Ends the output: the peer reads what was sent, and then the end of the stream.
    package borrowing func shutDownWriting() {
        _ = shutdown(descriptor.rawValue, CInt(SHUT_WR))
    }

    /// Closes the socket, whatever has arrived and was not taken.
    ///
    /// - Returns: its descriptor, still open, if descriptors have arrived, or more than is worth looking through: to close
    ///   it can take as long as the peer likes.
    package consuming func discard() -> OwnedDescriptor? {
        let number = descriptor.rawValue
        // From here on nothing arrives any more.
        _ = shutdown(number, CInt(SHUT_RDWR))
        if clinux_unread(number) != 0 { takeHarmless() }
        if clinux_unread(number) == 0 { return nil }
        return descriptor
    }

    /// Takes what a look shows, if it brings no descriptors: with something unread, the peer would read ECONNRESET and not
    /// the end of the stream.
    private borrowing func takeHarmless() {
        let number = descriptor.rawValue
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 1024) { buffer in
            guard let (count, hasDescriptors) = unsafe try? peek(buffer), !hasDescriptors else { return }
            _ = unsafe recv(number, buffer.baseAddress, count, CInt(MSG_DONTWAIT))
        }
    }

    package enum Readiness: Equatable {
        /// The socket is ready, or has failed.
        case ready
        /// The thread was woken by its ``WakeableThread``.
        case woken
        case timedOut
    }

    package enum Direction {
        case input, output
        /// Only the peer's going away.
        case hangUp
    }

    /// Waits until the socket is ready in a direction, or the calling thread is woken, or a deadline passes.
    package borrowing func wait(
        for direction: Direction, until deadline: Instant?, on thread: WakeableThread
    ) -> Readiness {
        let events =
            switch direction {
            case .input: CInt(POLLIN)
            case .output: CInt(POLLOUT)
            case .hangUp: CInt(0)
            }
        let timeout = deadline.map { ($0 - .now).pollMilliseconds } ?? -1
        let number = descriptor.rawValue
        do {
            let count = try systemCall("poll", retriesInterrupted: false) {
                clinux_wait(number, Int16(events), timeout)
            }
            return count > 0 ? .ready : .timedOut
        } catch {
            // Where the kernel has no memory to wait with, the clock decides what is next.
            guard error.errno == .interrupted else { return .timedOut }
            thread.acknowledge()
            return .woken
        }
    }
}

/// Wakes the one thread that waits by ``StreamSocket/wait(for:until:on:)``, from others, without a descriptor for it.
package final class WakeableThread: Sendable {
    private struct State {
        /// nil before the thread has begun and after it has ended.
        var thread: UInt64?
        /// It was woken and has not noticed yet: once is enough.
        var isWoken = false
    }

    private let state = Mutex(State())

    package init() {}

    /// Makes the calling thread the one that is woken.
    package func begin() {
        clinux_become_wakeable()
        state.withLock { $0.thread = clinux_thread_self() }
    }

    /// To be called by that thread before it ends.
    package func end() {
        state.withLock { $0.thread = nil }
    }

    /// Has the thread's wait, or its next one, return. What the thread is to find must be in place before.
    package func wake() {
        state.withLock { state in
            guard let thread = state.thread, !state.isWoken else { return }
            state.isWoken = true
            clinux_wake(thread)
        }
    }

    fileprivate func acknowledge() {
        state.withLock { $0.isWoken = false }
    }
}

/// A flag of the kernel's that one thread waits on beside other descriptors, and others raise (eventfd(2)).
package struct EventDescriptor: ~Copyable, Sendable {
    private let descriptor: OwnedDescriptor

    package init() throws(SystemCallError) {
        descriptor = OwnedDescriptor(adopting: try systemCall("eventfd", clinux_eventfd))
    }

    /// Raises the flag.
    package borrowing func signal() {
        var one: UInt64 = 1
        _ = unsafe write(descriptor.rawValue, &one, MemoryLayout<UInt64>.size)
    }

    /// Lowers the flag, which must be raised.
    package borrowing func clear() {
        var count: UInt64 = 0
        _ = unsafe read(descriptor.rawValue, &count, MemoryLayout<UInt64>.size)
    }

    /// Waits until the flag is raised, another descriptor can be read, or the time is over.
    ///
    /// - Parameters:
    ///   - other: -1 for none.
    ///   - milliseconds: -1 for as long as it takes.
    /// - Returns: whether the flag is raised.
    package borrowing func wait(orFor other: CInt = -1, milliseconds: CInt = -1) throws(SystemCallError) -> Bool {
        var questions = [descriptor.rawValue, other].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        try systemCall("poll") { unsafe poll(&questions, nfds_t(questions.count), milliseconds) }
        return questions[0].revents != 0
    }
}
