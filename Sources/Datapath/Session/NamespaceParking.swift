package import Linux
internal import Netfilter

/// What sessions have left open in their namespaces: until it is closed, the next session in the same namespace takes it over,
/// and need not enter.
///
/// A namespace of which something is open keeps its inode number: what is found by that number is of it and no other.
package final class NamespaceParking: Sendable {
    /// What is open of one namespace.
    final class Files: Sendable {
        let socket: NetlinkSocket.Idle
        let cookie: UInt64?
        /// iptables-legacy's lists of its tables, if they were asked for.
        let tableLists: [NamespaceFile]
        let counters: NamespaceFile?
        private let inode: UInt64
        private let parking: NamespaceParking

        fileprivate init(
            _ socket: NetlinkSocket.Idle, cookie: UInt64?, tableLists: [NamespaceFile], counters: NamespaceFile?,
            of inode: UInt64, in parking: NamespaceParking
        ) {
            (self.socket, self.cookie, self.tableLists, self.counters) = (socket, cookie, tableLists, counters)
            (self.inode, self.parking) = (inode, parking)
        }

        deinit {
            parking.forget(inode)
        }
    }

    private struct Place {
        /// The closer has the only reference, and lets go of it when it is time.
        weak var files: Files?
    }

    package let closer: DeferredCloser
    private let places = Monitor<[UInt64: Place]>([:])
    /// Long enough for the next call of a program, and no longer than a namespace may stay that its pod has left.
    private static let delay = Interval.milliseconds(500)
    /// Of three or four descriptors each.
    private static let maxPlaces = 128

    package init(closer: DeferredCloser) {
        self.closer = closer
    }

    /// Has the socket closed later; until then what is open is there for the next session, if that is wanted, the socket may be
    /// used again and there is room.
    func leave(
        _ socket: borrowing NetlinkSocket, cookie: UInt64?, tableLists: [NamespaceFile], counters: NamespaceFile?,
        of inode: UInt64, forNext isWanted: Bool
    ) {
        if isWanted, let idle = socket.idle {
            let files = Files(idle, cookie: cookie, tableLists: tableLists, counters: counters, of: inode, in: self)
            let hasRoom = places.withLock { places in
                let hasRoom = places.count < Self.maxPlaces
                if hasRoom { places[inode] = Place(files: files) }
                return hasRoom
            }
            if hasRoom { return closer.add(files, for: Self.delay) }
        }
        closer.add(socket.shared)
    }

    /// What is open of a namespace, for one caller: the next one finds nothing until it is parked again.
    func take(_ inode: UInt64) -> Files? {
        places.withLock { $0.removeValue(forKey: inode)?.files }
    }

    private func forget(_ inode: UInt64) {
        places.withLock { places in
            if let place = places[inode], place.files == nil { places[inode] = nil }
        }
    }
}

/// What a session has open in its namespace.
struct OpenNamespace: ~Copyable {
    var socket: NetlinkSocket
    var cookie: UInt64?
    /// nil if there are none of interest, or they were not asked for.
    var legacy: LegacyTables?
    var tableLists: [NamespaceFile]
    var counters: NamespaceFile?

    /// Takes over what is parked, if it is all that is needed; otherwise enters the namespace on the calling thread.
    ///
    /// - Parameter hasTransparentProxy: whether TPROXY was found in the namespace before.
    static func open(
        _ namespace: borrowing NetworkNamespace, _ detail: NamespaceSession.Detail, hasTransparentProxy: Bool,
        _ parking: NamespaceParking
    ) throws(SystemCallError) -> OpenNamespace {
        let readsTables = detail != .ownRules
        let readsCounters = detail == .full && hasTransparentProxy
        let parked = parking.take(namespace.inode)
        if let parked, !readsCounters || parked.counters != nil,
            !readsTables || LegacyTables.areEmpty(parked.tableLists)
        {
            return OpenNamespace(
                socket: NetlinkSocket(parked.socket), cookie: parked.cookie, legacy: nil,
                tableLists: parked.tableLists, counters: parked.counters)
        }
        return try namespace.withEntered { () throws(SystemCallError) -> OpenNamespace in
            let legacy = readsTables ? try LegacyTables.read(besideTransparentProxy: hasTransparentProxy) : nil
            // A bypass masks it, and asks for the connections that it took.
            let isMasked = hasTransparentProxy || legacy?.hasTransparentProxy == true
            let counters = detail == .full && isMasked ? try NamespaceFile(TCPCounters.file) : nil
            let socket = if let parked { NetlinkSocket(parked.socket) } else { try NetlinkSocket() }
            let cookie = parked?.cookie ?? socket.namespaceCookie
            return OpenNamespace(
                socket: socket, cookie: cookie, legacy: legacy?.isEmpty == true ? nil : legacy,
                tableLists: legacy?.lists ?? [], counters: counters)
        }
    }
}
