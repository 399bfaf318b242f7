/// Who is at the other end of a Unix socket, as the kernel noted it when the connection was made: `struct ucred` of
/// unix(7), in its memory layout, for SO_PEERCRED.
public struct PeerCredentials: BitwiseCopyable, Hashable, Sendable {
    public var pid: Int32
    public var uid: UInt32
    public var gid: UInt32

    public init(pid: Int32 = 0, uid: UInt32 = .max, gid: UInt32 = .max) {
        self.pid = pid
        self.uid = uid
        self.gid = gid
    }
}
