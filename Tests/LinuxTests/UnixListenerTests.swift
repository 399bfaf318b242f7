import Glibc
import Testing

@testable import Linux

@Suite struct UnixListenerTests {
    private static let path = "/tmp/kmesh-bypass-listener-tests-\(BootClock.now).sock"

    /// A client's end of a connection to `path`.
    private func connect(_ path: String) throws -> OwnedDescriptor {
        let number = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        let descriptor = OwnedDescriptor(adopting: number)
        var address = try #require(UnixAddress(path))
        try systemCall("connect") { unsafe address.with { unsafe Glibc.connect(number, $0, $1) } }
        return descriptor
    }

    @Test("A client is known by its user, its groups, its process and its program")
    func identity() throws {
        let listener = try UnixSocket.listen(on: Self.path + "-who", group: nil)
        defer { try? Files.remove(Self.path + "-who") }
        let client = try connect(Self.path + "-who")
        let connection = try #require(try Accepted(listener))
        #expect(connection.credentials.pid == getpid())
        #expect(connection.credentials.uid == geteuid())
        #expect(connection.credentials.gid == getegid())
        var groups = [gid_t](repeating: 0, count: Int(getgroups(0, nil)))
        unsafe getgroups(CInt(groups.count), &groups)
        #expect(Set(connection.credentials.groups) == Set(groups))
        let origin = try #require(connection.process.origin())
        #expect(origin.executable == Files.link("/proc/self/exe"))
        #expect(origin.controlGroup?.hasPrefix("/") == true)
        #expect(client.rawValue >= 0)
    }

    /// `#require` takes copyable values only.
    private struct Accepted {
        let credentials: PeerCredentials
        let process: PeerProcess

        init?(_ listener: UnixListener) throws {
            guard let connection = try listener.accept() else { return nil }
            (credentials, process) = (connection.credentials, connection.process)
        }
    }

    @Test("A listener that was stopped accepts no connection, and its socket stays usable")
    func stopping() throws {
        let path = Self.path + "-stop"
        let listener = try UnixSocket.listen(on: path, group: nil)
        defer { try? Files.remove(path) }
        listener.stop()
        let client = try connect(path)
        let nobody = try Accepted(listener)
        #expect(nobody?.credentials == nil)
        #expect(client.rawValue >= 0)
    }

    @Test(
        "The unit is the innermost one that the system's manager has named",
        arguments: [
            ("0::/system.slice/kubelet.service\n", "kubelet.service"),
            ("0::/user.slice/user-1000.slice/session-3.scope\n", "session-3.scope"),
            ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/kubelet.service\n", "user@1000.service"),
            (
                "12:cpu:/x.service\n1:name=systemd:/kubepods.slice/kubepods-pod1.slice/cri-containerd-2.scope\n",
                "cri-containerd-2.scope"
            ),
            ("0::/\n", nil), ("", nil),
        ])
    func units(_ lines: String, _ unit: String?) {
        #expect(Cgroup.path(lines).flatMap(Cgroup.unit) == unit)
    }
}
