internal import ArgumentParser
internal import Console
internal import Linux
internal import SystemPackage

/// Makes the requests of `compare`: one process in the mesh, and one past the sidecar. Each line on standard input is an
/// order for one.
struct CompareWorker: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "compare-worker", shouldDisplay: false)

    @OptionGroup var request: ComparedRequest

    func run() throws {
        while readLine() != nil { try Console.print(request.perform().line + "\n") }
    }
}

/// The request that is compared.
struct ComparedRequest: ParsableArguments {
    @Option(help: .init("The destination, such as 192.0.2.1:80 or [2001:db8::1]:80.", valueName: "address:port"))
    var to: String

    @Option(help: .init("Send GET for this path, and wait for the whole answer.", valueName: "path"))
    var http: String?

    @Option(help: .init("The Host of the request (default: the address and port).", valueName: "host"))
    var host: String?

    private static let timeout = Interval.seconds(5)
    /// An answer is read no further.
    private static let maxBytes = 16 << 20

    func validate() throws {
        if endpoint == nil {
            throw ValidationError(
                "--to: '\(to)' is not an address and a port, such as 192.0.2.1:80 (names are not looked up)")
        }
        if let http, !http.hasPrefix("/") || !Self.isOneWord(http) {
            throw ValidationError("--http: '\(http)' is not a path: it begins with / and has no spaces")
        }
        if let host, !Self.isOneWord(host) { throw ValidationError("--host: '\(host)' is not the name of a host") }
        if host != nil && http == nil { throw ValidationError("--host goes with --http") }
    }

    /// As it is given to another process.
    var options: [String] {
        ["--to", to] + (http.map { ["--http", $0] } ?? []) + (host.map { ["--host", $0] } ?? [])
    }

    private var endpoint: (address: IPAddress, port: UInt16)? {
        guard let colon = to.lastIndex(of: ":"), let port = UInt16(to[to.index(after: colon)...]), port > 0 else {
            return nil
        }
        let text = to[..<colon]
        let isBracketed = text.first == "[" && text.last == "]"
        // Without brackets it would not be known where an IPv6 address ends.
        guard isBracketed || !text.contains(":") else { return nil }
        let address = isBracketed ? text.dropFirst().dropLast() : text
        return IPAddress(String(address)).map { ($0, port) }
    }

    private static func isOneWord(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { (0x21...0x7e).contains($0) }
    }

    /// Makes the request.
    func perform() -> RequestOutcome {
        let start = Instant.now
        let deadline = start + Self.timeout
        var (kind, isFailure): (String, Bool)
        do throws(SystemCallError) {
            guard let endpoint else { return RequestOutcome("no address", nanoseconds: 0, isFailure: true) }
            let connection = try TimedConnection(to: endpoint.address, port: endpoint.port, timeout: Self.timeout)
            (kind, isFailure) =
                try http.map { path throws(SystemCallError) in try get(path, connection, deadline) } ?? (
                    "connected", false
                )
        } catch {
            (kind, isFailure) = (error.kind, true)
        }
        let end = Instant.now
        // Each call has waited for less.
        if end > deadline { (kind, isFailure) = ("timed out", true) }
        return RequestOutcome(kind, nanoseconds: Int((end - start).nanoseconds), isFailure: isFailure)
    }

    private func get(
        _ path: String, _ connection: TimedConnection, _ deadline: Instant
    ) throws(SystemCallError) -> (kind: String, isFailure: Bool) {
        try connection.send(
            "GET \(path) HTTP/1.1\r\nHost: \(host ?? to)\r\nUser-Agent: kmesh-bypassctl\r\nAccept: */*\r\n"
                + "Connection: close\r\n\r\n")
        var answer = HTTPAnswer()
        while !answer.isComplete && Instant.now < deadline {
            let bytes = try connection.receive()
            if bytes.isEmpty || answer.count > Self.maxBytes { break }
            answer.append(bytes)
        }
        guard let status = answer.status else {
            return (answer.count == 0 ? "closed without an answer" : "no HTTP", true)
        }
        if !answer.isWhole { return ("\(status), cut off", true) }
        return ("\(status)", status >= 500)
    }
}

extension SystemCallError {
    /// Its name for users.
    fileprivate var kind: String {
        switch errno {
        case .connectionRefused: "refused"
        case .timedOut: "timed out"
        case .connectionReset, .brokenPipe: "reset"
        case .noRouteToHost, .networkUnreachable: "unreachable"
        default: errno.name
        }
    }
}
