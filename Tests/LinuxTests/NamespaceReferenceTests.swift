import Linux
import Testing

@Suite struct NamespaceReferenceTests {
    @Test(
        "The four forms of the contract are told apart",
        arguments: [
            ("web", NamespaceReference.name("web")), ("web.1", .name("web.1")), ("...", .name("...")),
            ("pid", .name("pid")), ("a:b", .name("a:b")), ("netz-für-web", .name("netz-für-web")),
            ("/run/netns/web", .path("/run/netns/web")), ("/proc/4711/ns/net", .path("/proc/4711/ns/net")),
            ("pid:4711", .pid(4711)), ("pid:2147483647", .pid(2_147_483_647)),
            (
                "pod:3f1c0d52-7a55-4a0e-9d5c-0f1b1c6f8a11",
                .pod("3f1c0d52-7a55-4a0e-9d5c-0f1b1c6f8a11")
            ),
            ("pod:0a1b2c3d4e5f", .pod("0a1b2c3d4e5f")),
        ])
    func forms(_ text: String, _ reference: NamespaceReference) {
        #expect(NamespaceReference(text) == reference)
    }

    @Test(
        "What has none of the forms is refused",
        arguments: [
            "", ".", "..", "a/b", "../web", "web/", "pid:", "pid:0", "pid:-1", "pid:+1", "pid: 1", "pid:1x", "pid:0x10",
            "pid:2147483648", "pod:", "pod:../x", "pod:a/b", "pod:a b", "pod:a_b", "a\0b", "/run/netns/a\0b",
            String(repeating: "a", count: 256), "/" + String(repeating: "a", count: 4096),
            "pod:" + String(repeating: "a", count: 65),
        ])
    func refused(_ text: String) {
        #expect(NamespaceReference(text) == nil)
    }

    @Test(
        "What is no network namespace is refused, and what is not there is not found",
        arguments: [
            ("/proc/self/ns/mnt", true), ("/proc/self/ns/uts", true), ("/dev/null", true), ("/proc", true),
            ("/proc/self/status", true), ("/run/netns/no-such-namespace", false), ("no-such-namespace", false),
            ("/proc/self/status/net", false), ("pid:2147483647", false), ("pod:no-such-pod", false),
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
    }
}
