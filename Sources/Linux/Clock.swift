internal import CLinux
internal import Glibc

/// The two clocks that a bypass is told in.
public enum Clock {
    /// CLOCK_BOOTTIME in nanoseconds: what the matcher compares deadlines with. Goes on while the machine sleeps.
    public static var boottime: UInt64 { clinux_boottime_ns() }

    /// CLOCK_REALTIME in nanoseconds since 1970, for people.
    public static var realtime: Int64 {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
    }
}
