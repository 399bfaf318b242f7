internal import CLinux
internal import Glibc

/// CLOCK_BOOTTIME, which goes on while the machine sleeps: what the matcher compares deadlines with.
package enum BootClock {
    /// Nanoseconds since boot.
    package static var now: UInt64 { clinux_boottime_ns() }
}

/// CLOCK_REALTIME, for people.
package enum WallClock {
    /// Nanoseconds since 1970.
    package static var now: Int64 {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
    }
}
