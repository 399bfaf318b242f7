internal import Glibc

/// What systemd and a service of its say to each other (sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3)). All of it
/// does nothing without systemd.
package enum Systemd {
    /// Whether systemd runs on this machine (sd_booted(3)): without it no message names `systemctl`.
    package static var isBooted: Bool { Files.exists("/run/systemd/system") }

    /// Sends systemd assignments of sd_notify(3), such as `READY=1`.
    package static func notify(_ assignments: String...) {
        guard let path = ProcessEnvironment["NOTIFY_SOCKET"], let socket = try? DatagramSocket(connectedTo: path) else {
            return
        }
        // That systemd cannot be reached can only be reported to systemd.
        try? socket.send(Array(assignments.joined(separator: "\n").utf8))
    }

    /// Whether there is a systemd that wants to hear from this process.
    package static let isPresent = ProcessEnvironment["NOTIFY_SOCKET"] != nil

    /// CLOCK_MONOTONIC in microseconds: what goes with `RELOADING=1`.
    package static var monotonicMicroseconds: UInt64 {
        var now = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(now.tv_sec) * 1_000_000 + UInt64(now.tv_nsec) / 1000
    }

    /// The time in which `WATCHDOG=1` is expected, in microseconds (sd_watchdog_enabled(3)); nil if it is not.
    package static var watchdogMicroseconds: Int64? {
        if let pid = ProcessEnvironment["WATCHDOG_PID"], Int32(pid) != getpid() { return nil }
        return ProcessEnvironment["WATCHDOG_USEC"].flatMap { Int64($0) }.flatMap { $0 > 0 ? $0 : nil }
    }

    /// The socket of the journal's native protocol, if standard error goes to the journal (systemd.exec(5),
    /// `JOURNAL_STREAM`); nil if not.
    package static var journal: String? {
        var status = stat()
        guard let stream = ProcessEnvironment["JOURNAL_STREAM"], unsafe fstat(STDERR_FILENO, &status) == 0,
            stream == "\(status.st_dev):\(status.st_ino)"
        else { return nil }
        return "/run/systemd/journal/socket"
    }

    /// The number of sockets that systemd has passed (sd_listen_fds(3)), from descriptor 3 on.
    static var passedSockets: Int {
        guard let pid = ProcessEnvironment["LISTEN_PID"], Int32(pid) == getpid() else { return 0 }
        return ProcessEnvironment["LISTEN_FDS"].flatMap { Int($0) } ?? 0
    }

    /// SD_LISTEN_FDS_START.
    static let firstPassedSocket: CInt = 3
}
