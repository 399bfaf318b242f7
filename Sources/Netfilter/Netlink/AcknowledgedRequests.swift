internal import Glibc
internal import Linux
internal import SystemPackage

extension NetlinkSocket {
    /// In one exchange: the socket has room for so many acknowledgements.
    private static let maxRequests = 64

    /// Sends a request for each item, which the kernel acknowledges one by one. ENOENT is not counted as a refusal: the item
    /// has gone.
    ///
    /// - Parameters:
    ///   - largest: bytes of the largest request.
    ///   - append: adds an item's request with a sequence number, and asks for the acknowledgement.
    /// - Returns: those that the kernel refused, and why it refused the first.
    mutating func acknowledged<Item>(
        _ items: [Item], largest: Int, for operation: StaticString,
        _ append: (Item, inout MessageBuffer, UInt32) -> Void
    ) throws(NetfilterError) -> (refused: [Item], error: Errno?) {
        var outcome: (refused: [Item], error: Errno?) = ([], nil)
        for start in stride(from: 0, to: items.count, by: Self.maxRequests) {
            let part = Array(items[start...].prefix(Self.maxRequests))
            var requests = MessageBuffer(messages: part.count, largest: largest)
            let first = takeSequence(part.count)
            for (index, item) in part.enumerated() { append(item, &requests, first &+ UInt32(index)) }
            var answers = 0
            try exchange(requests, for: operation) { (message) throws(NetfilterError) -> Progress in
                let index = Int(message.sequence &- first)
                guard index < part.count, let error = message.acknowledgement else { return .more }
                if error != 0 && error != ENOENT {
                    outcome.refused.append(part[index])
                    outcome.error = outcome.error ?? Errno(rawValue: error)
                }
                answers += 1
                return answers == part.count ? .done : .more
            }
        }
        return outcome
    }
}
