internal import CLinux

/// The signals by which the daemon is controlled. They are blocked in all threads and waited for in one.
package enum Signals {
    package enum Request {
        /// SIGTERM, SIGINT.
        case terminate
        /// SIGHUP.
        case reload
    }

    /// Blocks them in the calling thread, and so in those that it starts, and ignores SIGPIPE. To be called before there are
    /// other threads: a signal that is not blocked ends the process.
    package static func block() throws(SystemCallError) {
        try systemCall("sigprocmask", clinux_block_signals)
    }

    /// Waits for the next one.
    package static func wait() -> Request {
        while true {
            switch clinux_wait_for_signal() {
            // Interrupted by something else, such as a debugger.
            case -1: continue
            case CLINUX_RELOAD_SIGNAL: return .reload
            default: return .terminate
            }
        }
    }
}
