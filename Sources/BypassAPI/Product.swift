internal import CBuildVersion

/// The product's name and version, and where it listens.
public enum Product {
    public static let name = "kmesh-bypassd"
    /// The version that this is, or becomes when a tag `v` with this number makes it a release.
    public static let release = "0.2.0"
    public static let version = kmesh_build_release() ? release : release + "-dev"
    /// The commit that was built, followed by `-modified` if files differed from it; nil if that is not known.
    public static let commit = commitText(kmesh_build_commit(), isModified: kmesh_build_modified())
    /// The version of the wire contract.
    public static let protocolVersion = 1
    /// The daemon's socket by default.
    public static let socketPath = "/run/kmesh/bypassd.sock"
    /// The environment variable with the path where the daemon listens, for the daemon and its clients.
    public static let socketVariable = "KMESH_BYPASSD_SOCKET"

    /// The version with its commit, as programs show it.
    package static let fullVersion = fullVersion(version, commit: commit)

    package static func fullVersion(_ version: String, commit: String?) -> String {
        "\(version) (commit \(commit ?? "unknown"))"
    }

    package static func commitText(_ digits: UInt32, isModified: Bool) -> String? {
        if digits == 0 { return nil }
        let text = String(digits, radix: 16)
        return String(repeating: "0", count: 8 - text.count) + text + (isModified ? "-modified" : "")
    }
}
