internal import CLinux
internal import Glibc

/// The process at the other end of a Unix socket, held so that its number is not another's while proc is read.
package final class PeerProcess: Sendable {
    private let pid: Int32
    /// A pidfd, readable once the process has ended. nil if it had by the time that the connection was accepted.
    private let handle: SharedDescriptor?

    /// SO_PEERPIDFD is the very process that connected. Before Linux 6.5 the number is all that there is: the process that
    /// has it now is taken, if it runs as the user who connected.
    init(of socket: borrowing OwnedDescriptor, _ credentials: PeerCredentials) {
        pid = credentials.pid
        var number = clinux_peer_pidfd(socket.rawValue)
        if number < 0 && errno == ENOPROTOOPT && pid > 0 {
            number = clinux_pidfd_open(pid)
            if number >= 0 && Self.effectiveUser(of: pid) != credentials.uid {
                _ = OwnedDescriptor(adopting: number)
                number = -1
            }
        }
        handle = number < 0 ? nil : SharedDescriptor(OwnedDescriptor(adopting: number))
    }

    /// The program and the unit of a process.
    package struct Origin: Hashable, Sendable {
        /// The path of its program, as /proc/PID/exe has it.
        package var executable: String?
        /// Its control group, from the root of the hierarchy on.
        package var controlGroup: String?
        /// systemd's unit, such as `kubelet.service`, from the control group's path.
        package var unit: String?
    }

    /// As of now. nil if the process has ended: its number may be another process's.
    package func origin() -> Origin? {
        guard let handle else { return nil }
        let executable = Files.link("/proc/\(pid)/exe")
        let controlGroup = (try? Files.text("/proc/\(pid)/cgroup")).flatMap(Cgroup.path)
        // What was read was its own if it still lives.
        guard Self.lives(handle.descriptor.rawValue) else { return nil }
        return Origin(
            executable: executable, controlGroup: controlGroup, unit: controlGroup.flatMap(Cgroup.unit))
    }

    private static func lives(_ handle: CInt) -> Bool {
        var question = pollfd(fd: handle, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&question, 1, 0) == 0
    }

    /// The second number in the line `Uid:` of /proc/PID/status (proc(5)).
    private static func effectiveUser(of pid: Int32) -> UInt32? {
        guard let status = try? Files.text("/proc/\(pid)/status") else { return nil }
        let line = status.split(separator: "\n").first { $0.hasPrefix("Uid:") }
        return line.flatMap { UInt32($0.split(whereSeparator: { $0 == "\t" || $0 == " " }).dropFirst(2).first ?? "") }
    }
}
