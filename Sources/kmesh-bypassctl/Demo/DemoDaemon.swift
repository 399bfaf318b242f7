internal import BypassClient
internal import Testbed

/// The daemon that the demo calls: the one that runs, or one for the demo alone.
struct DemoDaemon: Sendable {
    var socket: String
    /// For people: where it came from.
    var origin: String

    static func with(socket: String, _ body: (DemoDaemon) async throws -> Void) async throws {
        if let client = try? await BypassClient.connect(to: socket) {
            await client.close()
            return try await body(DemoDaemon(socket: socket, origin: "the daemon that listens on \(socket)"))
        }
        try await BPFFileSystem.with { bpffs in
            try await TemporaryFolder.with("kmesh-demo") { folder in
                let daemon = try await DaemonProcess.start(
                    .init(
                        socket: folder.path + "/bypassd.sock", bpffs: bpffs.path,
                        stateDirectory: folder.path + "/state", logLevel: "warning"))
                do {
                    try await body(DemoDaemon(socket: daemon.socket, origin: "a daemon of its own, for the demo alone"))
                } catch {
                    _ = try? await daemon.terminate()
                    throw error
                }
                _ = try await daemon.terminate()
            }
        }
    }
}
