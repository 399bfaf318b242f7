internal import Glibc

/// Says one line on standard error. Where that cannot be written to there is nobody left to tell.
public func complain(_ message: String) {
    var line = message + "\n"
    _ = line.withUTF8 { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
}
