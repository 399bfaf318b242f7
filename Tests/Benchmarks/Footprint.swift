import Glibc
import Linux
import MeshSandbox

/// From the start of the process to its first answer.
enum Startup {
    static func measure(_ options: DaemonProcess.Options) async throws {
        var figures = Figures()
        for _ in 0..<11 {
            let start = ContinuousClock.now
            let daemon = try await DaemonProcess.start(options)
            figures.add(ContinuousClock.now - start)
            _ = try await daemon.terminate()
        }
        print(figures.row("start to first answer"))
        print("    (asked every 10 ms; spawning included)\n")
    }
}

/// What the daemon weighs.
enum Footprint {
    static func binary(_ options: DaemonProcess.Options) async throws {
        guard let path = options.executable ?? DaemonProcess.builtExecutable() else { return }
        var status = stat()
        try systemCall("stat \(path)") { unsafe stat(path, &status) }
        print("binary: \(status.st_size / 1024) KiB (\(path))\n")
    }

    /// Threads and descriptors before and after 10,000 calls.
    static func manyCalls(_ daemon: DaemonProcess) async throws {
        try await MeshSandbox.with { sandbox in
            let pod = sandbox.pod
            try await Thread.run {
                let before = try daemon.usage()
                let client = try LineClient(daemon.socket)
                for index in 0..<10_000 {
                    try Call.check(try client.call(Call.bypass(pod, index % 20 == 19 ? "off" : "on")))
                }
                Thread.pause(milliseconds: 800)
                let after = try daemon.usage()
                print("10,000 calls: threads \(before.threads) -> \(after.threads), ", terminator: "")
                // The connection that asks is one.
                print("descriptors \(before.descriptors) -> \(after.descriptors - 1)")
            }
        }
    }
}

/// A thread that may block.
enum Thread {
    static func run<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await Threads.run(body)
    }

    static func pause(milliseconds: Int) {
        var time = timespec(tv_sec: 0, tv_nsec: milliseconds * 1_000_000)
        unsafe nanosleep(&time, nil)
    }
}
