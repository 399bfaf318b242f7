internal import Glibc

/// How many descriptors the process may have open.
public enum DescriptorLimit {
    /// Raises the soft limit to the hard one. The soft one is low by default for the sake of select(2), which is not used.
    public static func raise() throws(SystemCallError) {
        var limit = rlimit()
        try systemCall("getrlimit RLIMIT_NOFILE") {
            unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        }
        limit.rlim_cur = limit.rlim_max
        try systemCall("setrlimit RLIMIT_NOFILE") {
            unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        }
    }
}
