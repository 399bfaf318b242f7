/// Who calls, as the kernel noted it when the connection was made.
public struct Caller: Hashable, Sendable {
    public var uid: UInt32
    public var gid: UInt32
    /// The supplementary groups.
    public var groups: [UInt32]
    /// 0 where it is not known.
    public var pid: Int32

    public init(uid: UInt32, gid: UInt32, groups: [UInt32] = [], pid: Int32 = 0) {
        self.uid = uid
        self.gid = gid
        self.groups = groups
        self.pid = pid
    }

    public var isRoot: Bool { uid == 0 }

    public func isMember(of group: UInt32) -> Bool {
        gid == group || groups.contains(group)
    }
}
