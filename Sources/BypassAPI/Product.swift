/// The product's name and version, and where it listens.
public enum Product {
    public static let name = "kmesh-bypassd"
    public static let version = "0.1.0"
    /// The version of the wire contract.
    public static let protocolVersion = 1
    /// Where the daemon listens by default.
    public static let socketPath = "/run/kmesh/bypassd.sock"
    /// The environment variable with the path where the daemon listens, for the daemon and its clients.
    public static let socketVariable = "KMESH_BYPASSD_SOCKET"
}
