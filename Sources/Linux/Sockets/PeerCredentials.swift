internal import CLinux
internal import SystemPackage

/// The process at the other end of a Unix socket, as the kernel recorded it when the connection was made: whatever the process
/// becomes afterwards, and to whomever it hands the socket on.
package struct PeerCredentials: Hashable, Sendable {
    package var pid: Int32
    package var uid: UInt32
    package var gid: UInt32
    /// The supplementary groups.
    package var groups: [UInt32]

    package init(pid: Int32 = 0, uid: UInt32 = .max, gid: UInt32 = .max, groups: [UInt32] = []) {
        self.pid = pid
        self.uid = uid
        self.gid = gid
        self.groups = groups
    }

    /// SO_PEERCRED and SO_PEERGROUPS (unix(7), socket(7)).
    init(of socket: borrowing OwnedDescriptor) throws(SystemCallError) {
        var peer = clinux_ucred()
        try systemCall("getsockopt SO_PEERCRED") { unsafe clinux_peer_credentials(socket.rawValue, &peer) }
        self.init(pid: peer.pid, uid: peer.uid, gid: peer.gid, groups: try Self.groups(of: socket))
    }

    private static func groups(of socket: borrowing OwnedDescriptor) throws(SystemCallError) -> [UInt32] {
        var count: UInt32 = 32
        while true {
            var groups = [UInt32](repeating: 0, count: Int(count))
            do throws(SystemCallError) {
                try systemCall("getsockopt SO_PEERGROUPS") {
                    unsafe clinux_peer_groups(socket.rawValue, &groups, &count)
                }
                return Array(groups.prefix(Int(count)))
            } catch {
                // The kernel has said how many there are; they cannot change now.
                guard error.errno == .outOfRange, count > groups.count else { throw error }
            }
        }
    }
}
