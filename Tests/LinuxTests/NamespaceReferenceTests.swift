import Testing

@testable import Linux

@Suite struct NamespaceReferenceTests {
    @Test(
        "The forms of the contract are distinguished",
        arguments: [
            ("web", NamespaceReference.name("web")), ("web.1", .name("web.1")), ("...", .name("...")),
            ("pid", .name("pid")), ("a:b", .name("a:b")), ("netz-für-web", .name("netz-für-web")),
            ("/srv/web", .path("/srv/web")), ("/proc/self/ns/net", .path("/proc/self/ns/net")),
            ("/proc/4711/ns/mnt", .path("/proc/4711/ns/mnt")), ("/run/netns/a/b", .path("/run/netns/a/b")),
            ("pid:4711", .pid(4711)), ("pid:2147483647", .pid(2_147_483_647)),
            (
                "pod:3f1c0d52-7a55-4a0e-9d5c-0f1b1c6f8a11",
                .workload(.pod(uid: "3f1c0d52-7a55-4a0e-9d5c-0f1b1c6f8a11"))
            ),
            ("pod:0a1b2c3d4e5f", .workload(.pod(uid: "0a1b2c3d4e5f"))),
            ("container:0a1b2c3d4e5f", .workload(.container(id: "0a1b2c3d4e5f"))),
            ("container:cri-o://0a1b2c3d4e5f", .workload(.container(id: "0a1b2c3d4e5f"))),
            ("host", .host), ("/run/netns/host", .name("host")),
            ("Host", .name("Host")),
        ])
    func forms(_ text: String, _ reference: NamespaceReference) {
        #expect(NamespaceReference(text) == reference)
    }

    @Test(
        "What has none of the forms is refused",
        arguments: [
            "", ".", "..", "a/b", "../web", "web/", "pid:", "pid:0", "pid:-1", "pid:+1", "pid: 1", "pid:1x", "pid:0x10",
            "pid:2147483648", "pod:", "pod:../x", "pod:a/b", "pod:a b", "pod:a_b", "a\0b", "/run/netns/a\0b",
            "/run/netns/../netns/web", "/..", "/srv/..", "/run/netns/..",
            String(repeating: "a", count: 256), "/" + String(repeating: "a", count: 4096),
            "pod:" + String(repeating: "a", count: 65), "container:", "container:0a1b2c3d4e5", "container:web-0",
            "container:" + String(repeating: "a", count: 65), "container:docker://", "container:podman://0a1b2c3d4e5f",
        ])
    func refused(_ text: String) {
        #expect(NamespaceReference(text) == nil)
    }

    @Test(
        "A reference has one text, however it was spelled, and that reads back as the same",
        arguments: [
            ("web", "web"), ("/run/netns/web", "web"), ("/var/run/netns/web", "web"), ("//run/./netns//web", "web"),
            // Without the folder they would be something else.
            ("/run/netns/pid:1", "/run/netns/pid:1"), ("/var/run/netns/pod:a", "/run/netns/pod:a"),
            ("/run/netns/pid:x", "/run/netns/pid:x"), ("/run/netns/host", "/run/netns/host"), ("host", "host"),
            ("pid:4711", "pid:4711"), ("pid:04711", "pid:4711"), ("/proc/4711/ns/net", "pid:4711"),
            ("//proc//1/ns/net", "pid:1"), ("/proc/./1/ns/net", "pid:1"), ("pod:a-b", "pod:a-b"),
            ("/proc/01/ns/net", "/proc/01/ns/net"), ("/proc/0/ns/net", "/proc/0/ns/net"),
            ("/proc/1/task/1/ns/net", "/proc/1/task/1/ns/net"),
            // A slash at the end asks for a folder, which a namespace is not.
            ("/run/netns/web/", "/run/netns/web/."), ("/run/netns/", "/run/netns/."), ("/run/netns/\u{301}", "\u{301}"),
            ("/srv//web", "/srv/web"),
        ])
    func canonical(_ text: String, _ canonical: String) throws {
        let reference = try #require(NamespaceReference(text))
        #expect(reference.canonical == canonical)
        #expect(NamespaceReference(canonical) == reference)
    }

    @Test("Where PID 1 has this process's namespace, that is known, though no one may look at it")
    func firstProcess() throws {
        let isOwn = try Files.inode(of: "/proc/1/net/dev") == Files.inode(of: "/proc/self/net/dev")
        #expect(HostNamespace.unknownFirstProcess == nil || !isOwn)
    }

    @Test(
        "A file that is not a network namespace is refused, and a missing one is not found",
        arguments: [
            ("/etc/passwd", true), ("/etc", true), ("/dev/null", true), ("/proc", true), ("/proc/self/ns", true),
            ("/run/netns/no-such-namespace", false), ("no-such-namespace", false),
            ("/etc/passwd/net", false), ("pid:2147483647", false), ("pod:no-such-pod", false),
        ])
    func open(_ text: String, _ exists: Bool) throws {
        let reference = try #require(NamespaceReference(text))
        #expect {
            let namespace = try reference.open()
            Issue.record("opened as \(namespace.inode)")
        } throws: { error in
            switch error as? NamespaceError {
            case .notNetworkNamespace: exists
            case .notFound: !exists
            default: false
            }
        }
    }

    @Test("A namespace has the same number by every name, and this one is the host's")
    func host() throws {
        let byPath = try NetworkNamespace(path: "/proc/self/ns/net").inode
        let status = try Files.text("/proc/self/stat")
        let pid = try #require(status.split(separator: " ").first)
        let byPID = try #require(NamespaceReference("pid:\(pid)")).open().inode
        #expect(byPath == byPID)
        #expect(HostNamespace.inodes.contains(byPath))
        if HostNamespace.isOwn { #expect(try NamespaceReference.host.open().inode == byPath) }
    }
}
