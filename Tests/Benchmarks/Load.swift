import Glibc
import Linux
import MeshSandbox

/// Many connections, each with one `info` on its way at any time.
enum Load {
    static func measure(_ daemon: DaemonProcess, connections: Int) async throws {
        let rates = try await Thread.run {
            try (0..<5).map { _ in try requestsPerSecond(daemon.socket, connections, for: .seconds(2)) }
        }
        let sorted = rates.sorted()
        print("info, \(connections) connections, 5 runs of 2 s: median \(sorted[2]) requests/s")
        print("    (min \(sorted[0]), max \(sorted[4]); the client runs on the same processors)\n")
    }

    private static func requestsPerSecond(
        _ path: String, _ connections: Int, for duration: Duration
    ) throws -> Int {
        let sockets = try (0..<connections).map { _ in try SharedDescriptor(connect(path)) }
        let request = Array((Call.info + "\n").utf8)
        var polled: [pollfd] = []
        for socket in sockets {
            let number = socket.descriptor.rawValue
            polled.append(pollfd(fd: number, events: Int16(POLLIN), revents: 0))
            try systemCall("send") { unsafe send(number, request, request.count, 0) }
        }
        var answer = [UInt8](repeating: 0, count: 4096)
        var answers = 0
        let start = ContinuousClock.now
        while ContinuousClock.now - start < duration {
            try systemCall("poll") { unsafe poll(&polled, nfds_t(connections), 1000) }
            for index in sockets.indices where polled[index].revents != 0 {
                let number = sockets[index].descriptor.rawValue
                // An answer is shorter than the buffer and comes in one write.
                let count = try systemCall("recv") { unsafe recv(number, &answer, answer.count, 0) }
                guard count > 0, answer[count - 1] == UInt8(ascii: "\n") else { continue }
                answers += 1
                try systemCall("send") { unsafe send(number, request, request.count, 0) }
            }
        }
        return Int(Double(answers) / ((ContinuousClock.now - start) / .seconds(1)))
    }

    private static func connect(_ path: String) throws -> OwnedDescriptor {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
        let number = try systemCall("socket") { socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0) }
        let descriptor = OwnedDescriptor(adopting: number)
        try systemCall("connect \(path)") {
            unsafe withUnsafePointer(to: &address) {
                unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe Glibc.connect(number, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
        }
        return descriptor
    }
}
