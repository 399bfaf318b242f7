package import Linux
internal import Netfilter

/// What sessions have left open in their namespaces: until it is closed, the next session in the same namespace takes it over,
/// and need not enter.
///
/// A namespace of which something is open keeps its inode number: what is found by that number is of it and no other.
package final class NamespaceParking: Sendable {
    /// What is open of one namespace.
    struct Files: Sendable {
        let socket: NetlinkSocket.Idle
        let cookie: UInt64?
        /// iptables-legacy's lists of its tables, if they were asked for.
        let tableLists: [NamespaceFile]
        let counters: NamespaceFile?
    }

    private struct Place {
        let files: Files
        let until: Instant
    }

    private struct State {
        var places: [UInt64: Place] = [:]
        /// Whether the closer has a sweep to run.
        var isSweepDue = false
    }

    package let closer: DeferredCloser
    private let state = Monitor(State())
    /// Long enough for the next call of a program, and no longer than a namespace may stay that its pod has left.
    private static let delay = Interval.milliseconds(500)
    /// Between two sweeps: files that expire within this time are closed together.
    private static let pause = Interval.milliseconds(50)
    /// Of three or four descriptors each.
    private static let maxPlaces = 256

    package init(closer: DeferredCloser) {
        self.closer = closer
    }

    /// Has the socket closed later; until then what is open is there for the next session, if that is wanted, the socket may be
    /// used again and there is room.
    func leave(
        _ socket: borrowing NetlinkSocket, cookie: UInt64?, tableLists: [NamespaceFile], counters: NamespaceFile?,
        of inode: UInt64, forNext isWanted: Bool
    ) {
        guard isWanted, let idle = socket.idle else { return closer.add(socket.shared) }
        let files = Files(socket: idle, cookie: cookie, tableLists: tableLists, counters: counters)
        let place = Place(files: files, until: .now + Self.delay)
        let (hasRoom, isSweepDue) = state.withLock { state in
            let hasRoom = state.places.count < Self.maxPlaces
            if hasRoom { state.places[inode] = place }
            defer { state.isSweepDue = true }
            return (hasRoom, state.isSweepDue)
        }
        if !isSweepDue { sweep(after: Self.delay) }
        if !hasRoom { closer.add(socket.shared) }
    }

    /// What is open of a namespace, for one caller: the next one finds nothing until it is parked again.
    func take(_ inode: UInt64) -> Files? {
        state.withLock { $0.places.removeValue(forKey: inode)?.files }
    }

    private func sweep(after delay: Interval) {
        closer.add(after: delay) { isStopping in self.sweep(all: isStopping) }
    }

    /// Closes the files that have expired, or all of them.
    private func sweep(all: Bool) {
        let now = all ? Instant(nanoseconds: .max) : .now
        let (due, next) = state.withLock { state in
            let due = state.places.filter { $0.value.until <= now }
            for inode in due.keys { state.places[inode] = nil }
            let next = state.places.values.map(\.until).min()
            state.isSweepDue = next != nil
            return (due, next)
        }
        if let next { sweep(after: max(next - now, Self.pause)) }
        // They are closed here. Without this line the compiler may release them earlier, under the lock.
        withExtendedLifetime(due) {}
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
