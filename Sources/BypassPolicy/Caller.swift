/// A caller as the kernel recorded it when the connection was made.
package struct Caller: Hashable, Sendable {
    package var uid: UInt32
    package var gid: UInt32
    /// The supplementary groups.
    package var groups: [UInt32]
    /// 0 where it is not known.
    package var pid: Int32

    package init(uid: UInt32, gid: UInt32, groups: [UInt32] = [], pid: Int32 = 0) {
        self.uid = uid
        self.gid = gid
        self.groups = groups
        self.pid = pid
    }

    package var isRoot: Bool { uid == 0 }

    package func isMember(of group: UInt32) -> Bool {
        gid == group || groups.contains(group)
    }
}
