internal import Glibc

/// The process's environment.
public enum Environment {
    /// A variable; one that is empty counts as unset.
    public static subscript(name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        let text = unsafe String(cString: value)
        return text.isEmpty ? nil : text
    }
}
