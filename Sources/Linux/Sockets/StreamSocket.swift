internal import CLinux
internal import Glibc
internal import SystemPackage

/// A connected stream socket that one thread serves: nothing here waits but `wait`.
package struct StreamSocket: ~Copyable, Sendable {
    private let descriptor: OwnedDescriptor

    package init(_ descriptor: consuming OwnedDescriptor) {
        self.descriptor = descriptor
    }

    package enum Received: Equatable {
        case bytes([UInt8])
        /// The peer has ended its output, or is gone.
        case endOfStream
        /// Nothing is there yet.
        case nothing
    }

    /// Takes what has arrived. Nothing is held for a connection on which nothing arrives. Descriptors that come along are
    /// closed by the kernel.
    package borrowing func receive(atMost limit: Int) -> Received {
        let number = descriptor.rawValue
        do throws(SystemCallError) {
            // Not cleared: what is read is what was received.
            let bytes = try unsafe [UInt8](unsafeUninitializedCapacity: limit) {
                (buffer, count) throws(SystemCallError) in
                let start = buffer.baseAddress
                count = try systemCall("recv from the client") { unsafe recv(number, start, limit, CInt(MSG_DONTWAIT)) }
            }
            return bytes.isEmpty ? .endOfStream : .bytes(bytes)
        } catch {
            // A client that is gone is not a fault of the daemon's.
            return error.errno == .resourceTemporarilyUnavailable ? .nothing : .endOfStream
        }
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

    package enum Readiness: Equatable {
        /// The socket is ready, or has failed.
        case ready
        /// The event was signalled. It is cleared.
        case signalled
        case timedOut
    }

    package enum Direction {
        case input, output
        /// Only the peer's going away.
        case hangUp
    }

    /// Waits until the socket is ready in a direction, or `event` is signalled, or a deadline passes.
    package borrowing func wait(
        for direction: Direction, or event: borrowing EventDescriptor, until deadline: Instant?
    ) -> Readiness {
        let events =
            switch direction {
            case .input: CInt(POLLIN)
            case .output: CInt(POLLOUT)
            case .hangUp: CInt(0)
            }
        var questions = (
            pollfd(fd: event.rawValue, events: Int16(POLLIN), revents: 0),
            pollfd(fd: descriptor.rawValue, events: Int16(events), revents: 0)
        )
        let timeout = deadline.map { ($0 - .now).pollMilliseconds } ?? -1
        let count = try? systemCall("poll") {
            unsafe withUnsafeMutableBytes(of: &questions) { questions in
                unsafe poll(questions.baseAddress?.assumingMemoryBound(to: pollfd.self), 2, timeout)
            }
        }
        // Where the kernel has no memory to wait with, the clock decides what is next.
        guard let count else { return .timedOut }
        if count > 0 && questions.0.revents != 0 {
            event.clear()
            return .signalled
        }
        return count > 0 ? .ready : .timedOut
    }
}

/// A flag of the kernel's that one thread waits on beside its socket, and others raise (eventfd(2)).
package struct EventDescriptor: ~Copyable, Sendable {
    private let descriptor: OwnedDescriptor

    package init() throws(SystemCallError) {
        descriptor = OwnedDescriptor(adopting: try systemCall("eventfd", clinux_eventfd))
    }

    var rawValue: CInt { descriptor.rawValue }

    /// Raises the flag.
    package borrowing func signal() {
        var one: UInt64 = 1
        _ = unsafe write(descriptor.rawValue, &one, MemoryLayout<UInt64>.size)
    }

    /// Lowers the flag.
    borrowing func clear() {
        var count: UInt64 = 0
        _ = unsafe read(descriptor.rawValue, &count, MemoryLayout<UInt64>.size)
    }
}
