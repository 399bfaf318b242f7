internal import Bypass
internal import BypassAPI
internal import Glibc

/// What this process gets from and gives to its surroundings. The only file with unsafe code: there is no other way
/// to these without Foundation.
enum Process {
    /// A variable of the environment; one that is empty counts as unset.
    static func environment(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        let text = unsafe String(cString: value)
        return text.isEmpty ? nil : text
    }

    static var now: Timestamp {
        Timestamp(secondsSince1970: Int64(time(nil)))
    }

    static var isRoot: Bool { geteuid() == 0 }

    static var isOutputTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

    static func print(_ text: String) throws(OutputError) {
        try write(text, to: STDOUT_FILENO)
    }

    /// Says on stderr what is wrong. The sentence may hold what others sent.
    static func complain(_ sentence: String) {
        // Where stderr cannot be written to there is nobody left to tell.
        try? write("kmesh-bypassctl: \(sentence.printable)\n", to: STDERR_FILENO)
    }

    private static func write(_ text: String, to descriptor: CInt) throws(OutputError) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 {
                rest.removeFirst(count)
            } else if errno != EINTR {
                throw OutputError(errno: errno)
            }
        }
    }
}

/// The output could not be written, to a full disk or to a reader that has gone.
struct OutputError: Error, CustomStringConvertible {
    let errno: CInt

    var description: String { unsafe String(cString: strerror(errno)) }

    /// As in `kmesh-bypassctl list | head -1`: no reason to complain.
    var isReaderGone: Bool { errno == EPIPE }
}
