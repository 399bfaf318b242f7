package import MeshSandbox

extension MeshSandbox {
    /// Has a command run in the background for the time that `body` runs.
    ///
    /// - Parameter output: A file for what it prints, which is there from the start: a shell that has gone on would else
    ///   be ahead of its child's making it.
    package func withBackground<Result>(
        _ command: [String], in place: Place, output: String = "/dev/null", _ body: (_ pid: Int) async throws -> Result
    ) async throws -> Result {
        let start = #": > "$0"; "$@" >> "$0" 2>&1 & echo $!"#
        let pid = try Self.number(await run(["sh", "-c", start, output] + command, in: place))
        return try await scoped {
            try await body(pid)
        } cleanUp: {
            try await end(pid)
        }
    }

    /// The number of a process, as a shell has printed it.
    private static func number(_ printed: String) throws -> Int {
        guard let pid = Int(printed.filter(\.isNumber)) else {
            throw UnmetExpectation(description: "no process: \(printed)")
        }
        return pid
    }

    /// Ends a process, which may have ended by itself, and waits for that: until then its namespace is in use.
    private func end(_ pid: Int) async throws {
        try await run(["sh", "-c", "if kill -0 \(pid); then kill \(pid); fi"], in: .host)
        try await eventually("process \(pid) ends") {
            try await result(of: ["readlink", "/proc/\(pid)/ns/net"]).code != 0
        }
    }

    /// Has what is sent to a datagram socket written to a file for the time that `body` runs.
    package func withReceiver<Result>(
        at socket: String, output: String, _ body: () async throws -> Result
    ) async throws -> Result {
        try await withBackground(["socat", "-u", "UNIX-RECV:\(socket)", "STDOUT"], in: .host, output: output) { _ in
            try await eventually("something receives at \(socket)") {
                try await result(of: ["test", "-S", socket]).code == 0
            }
            return try await body()
        }
    }

    /// Has a process that does nothing live in a namespace for the time that `body` runs.
    package func withProcess<Result>(
        in place: Place, _ body: (_ pid: Int) async throws -> Result
    ) async throws -> Result {
        // Bounded, in case the test is killed.
        try await withBackground(["sleep", "300"], in: place, body)
    }

    /// Has a program listen in the pod for the time that `body` runs.
    ///
    /// - Parameters:
    ///   - transport: `tcp` or `udp`.
    ///   - preparation: Python that runs before it makes its socket `s`, and after that with `s`.
    package func withListener<Result>(
        on address: String, port: Int, _ transport: String = "tcp",
        preparation: (before: String, after: String) = ("", ""), _ body: (_ pid: Int) async throws -> Result
    ) async throws -> Result {
        let program = """
            import socket, sys, time
            address, port, transport, before, after = sys.argv[1:]
            exec(before)
            family = socket.AF_INET6 if ':' in address else socket.AF_INET
            s = socket.socket(family, socket.SOCK_STREAM if transport == 'tcp' else socket.SOCK_DGRAM)
            exec(after)
            s.bind((address, int(port)))
            if transport == 'tcp': s.listen()
            time.sleep(60)
            """
        let arguments = [address, "\(port)", transport, preparation.before, preparation.after]
        return try await withBackground(["python3", "-c", program] + arguments, in: .pod) { pid in
            let family = address.contains(":") ? "-6" : "-4"
            try await eventually("it listens") {
                let sockets = ["ss", family, "-Hln", "--\(transport)", "sport = \(port)"]
                return try await !run(sockets, in: .pod).isEmpty
            }
            return try await body(pid)
        }
    }

    /// Has a process of that user hold a connection from the pod to the peer's app for the time that `body` runs.
    package func withConnection<Result>(ofUser user: Int, _ body: () async throws -> Result) async throws -> Result {
        let address = Family.ipv4.address(of: .peer)
        let script = """
            exec 3<>/dev/tcp/\(address)/8080; read -r -u 3; sleep 300 >/dev/null 2>&1 & echo $!
            """
        let command = ["setpriv", "--reuid", "\(user)", "--clear-groups", "--", "bash", "-c", script]
        let pid = try Self.number(await run(command, in: .pod))
        return try await scoped(body) { try await end(pid) }
    }

    /// Has one more namespace, with nothing in it, for the time that `body` runs; `body` may delete it.
    package func withNamespace<Result>(_ body: (_ name: String) async throws -> Result) async throws -> Result {
        let name = pod + "-more"
        try await run(["ip", "netns", "add", name], in: .host)
        return try await scoped {
            try await body(name)
        } cleanUp: {
            try await run(["sh", "-c", "test ! -e /run/netns/\(name) || ip netns delete \(name)"], in: .host)
        }
    }

    /// The number by which the kernel knows a namespace, as `ls -iL` prints it.
    package func inode(of path: String) async throws -> Int {
        let output = try await run(["stat", "--dereference", "--format=%i", path], in: .host)
        return Int(output.filter(\.isNumber)) ?? 0
    }
}
