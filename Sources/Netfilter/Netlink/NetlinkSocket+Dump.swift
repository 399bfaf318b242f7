internal import Glibc
internal import Linux
internal import SystemPackage

extension NetlinkSocket {
    /// Asks for all objects of a kind and hands each to `body`.
    ///
    /// Every dump is read here, so that no reader takes a part of one for all of it: where the kernel ends a dump with an
    /// error, that error is thrown, whatever came before it.
    ///
    /// - Parameters:
    ///   - request: one message that asks for a dump.
    ///   - sequence: the request's.
    /// - Returns: whether the objects are those of one moment. If not, they changed while they were dumped: one may be missing,
    ///   or have come twice.
    mutating func dump(
        _ request: borrowing MessageBuffer, _ sequence: UInt32, for operation: StaticString,
        _ body: (NetlinkMessage) -> Void
    ) throws(NetfilterError) -> Bool {
        var (isConsistent, failure): (Bool, CInt) = (true, 0)
        try exchange(request, for: operation) { (message) throws(NetfilterError) -> Progress in
            guard message.sequence == sequence else { return .more }
            if message.isInterruptedDump { isConsistent = false }
            failure = message.endOfDump ?? message.acknowledgement ?? 0
            if failure != 0 || message.isLastOfDump { return .done }
            body(message)
            return .more
        }
        if failure != 0 { throw .systemCall(SystemCallError("\(operation)", Errno(rawValue: failure))) }
        return isConsistent
    }
}

extension NetlinkMessage {
    /// Throws what a refused request was refused with.
    func check(_ operation: StaticString) throws(NetfilterError) {
        guard let error = acknowledgement, error != 0 else { return }
        throw .systemCall(SystemCallError("\(operation)", Errno(rawValue: error)))
    }
}

extension NetfilterError {
    /// What a dump has shown is not of one moment, and it has no generation by which that could be settled.
    static func changesMeanwhile(_ operation: StaticString) -> NetfilterError {
        .systemCall(SystemCallError("\(operation), which change meanwhile", .resourceTemporarilyUnavailable))
    }
}
