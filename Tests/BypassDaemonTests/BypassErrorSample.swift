import Bypass

/// Kept apart: `Bypass` and `BypassAPI` name some things alike.
enum BypassErrorSample {
    static func refused(_ text: String) -> any Error { BypassError.invalidParameter(text) }
}
