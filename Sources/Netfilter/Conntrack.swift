internal import CLibnftnl
internal import SystemPackage

extension NetlinkSocket {
    /// How many established TCP connections of the namespace go through a redirect.
    ///
    /// nil where it cannot be counted: the kernel has no conntrack netlink (nf_conntrack_netlink), or the namespace has
    /// more than `limit` connections (a walk through the kernel's table takes time for each).
    package mutating func redirectedConnections(limit: Int = 65536) -> Int? {
        do throws(NetfilterError) {
            // The number of all is kept by the kernel; most pods that are asked about have few, and many have none.
            guard let known = try trackedConnections(), known <= limit else { return nil }
            if known == 0 { return 0 }
            var count = 0
            try dump(MessageType.getConnection, "reading connections") { count += $0.isRedirectedConnection ? 1 : 0 }
            return count
        } catch {
            return nil
        }
    }

    private mutating func trackedConnections() throws(NetfilterError) -> Int? {
        let operation: StaticString = "counting connections"
        let sequence = takeSequence()
        var request = MessageBuffer(messages: 1)
        request.append(MessageType.getConntrackStatistics, family: 0, sequence: sequence)
        var count: Int?
        try exchange(request, for: operation) { (message) throws(NetfilterError) -> Progress in
            guard message.sequence == sequence else { return .more }
            try message.check(operation)
            for attribute in message.attributes where attribute.type == CInt(CTA_STATS_GLOBAL_ENTRIES.rawValue) {
                count = attribute.uint32.map(Int.init)
            }
            return .done
        }
        return count
    }
}

extension NetlinkMessage {
    /// Nat has changed the destination, and TCP's handshake is done.
    fileprivate var isRedirectedConnection: Bool {
        guard type == MessageType.newConnection else { return false }
        var redirected = false
        var established = false
        for attribute in attributes {
            switch attribute.type {
            case CInt(CTA_STATUS.rawValue): redirected = (attribute.uint32 ?? 0) & IPS_DST_NAT.rawValue != 0
            case CInt(CTA_PROTOINFO.rawValue):
                let state = attribute.first(CTA_PROTOINFO_TCP.rawValue)?.first(CTA_PROTOINFO_TCP_STATE.rawValue)
                established = state?.uint8 == 3  // TCP_CONNTRACK_ESTABLISHED
            default: break
            }
        }
        return redirected && established
    }
}
