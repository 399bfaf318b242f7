import BypassAPI
import Glibc

/// Where the environment wants the daemon to listen.
func environmentSocket() -> String? {
    unsafe getenv(Product.socketVariable).map { unsafe String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
}

/// One line on standard error.
func complain(_ message: String) {
    var line = message + "\n"
    _ = line.withUTF8 { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
}
