import Glibc
import Testing

@testable import Linux

/// Walks that need no root, and no daemon: in proc, and in a folder of the test's own.
@Suite struct SafePathResolverTests {
    private static func error(_ path: String, for user: UInt32 = 0) -> NamespaceError? {
        do throws(NamespaceError) {
            guard let reference = NamespaceReference(path) else { throw .notFound(path) }
            _ = try reference.open(for: user)
            return nil
        } catch {
            return error
        }
    }

    private static func isRefused(_ path: String) -> Bool {
        if case .notFollowed = error(path) { true } else { false }
    }

    @Test(
        "The links of proc to namespaces are followed",
        arguments: [
            "/proc/self/ns/net", "/proc/thread-self/ns/net", "//proc//self/./ns//net", "/proc/\(getpid())/ns/net",
            "/proc/./\(getpid())/ns/net", "/proc/\(getpid())/task/\(getpid())/ns/net",
        ])
    func namespaces(_ path: String) throws {
        #expect(try NetworkNamespace(path: path).inode == NetworkNamespace(path: "/proc/self/ns/net").inode)
    }

    @Test(
        "The links of proc into what a process holds are not followed, wherever they lead",
        arguments: [
            "/proc/self/root", "/proc/self/root/proc/self/ns/net", "/proc/self/cwd/x", "/proc/self/exe",
            "/proc/thread-self/root/run/netns/web", "/proc/\(getpid())/task/\(getpid())/cwd",
        ])
    func processes(_ path: String) {
        #expect(Self.isRefused(path))
    }

    @Test("An open namespace of another process is not used by its number there")
    func descriptors() throws {
        let opened = OwnedDescriptor(adopting: unsafe open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC))
        #expect(Self.isRefused("/proc/self/fd/\(opened.rawValue)"))
        #expect(Self.isRefused("/dev/fd/\(opened.rawValue)"))
    }

    @Test(
        "What lies behind a file is not there, and neither is a file that a path takes for a folder",
        arguments: [
            "/etc/passwd/net", "/etc/passwd/", "/etc/passwd/.", "/proc/self/ns/net/x", "/proc/01/ns/net",
            "/proc/self/ns/net/", "/proc/2147483647/task/1/ns/net", "/proc/\(getpid())/task/2147483647/ns/net",
        ])
    func nothing(_ path: String) {
        guard case .notFound = Self.error(path) else {
            Issue.record("\(path): \(Self.error(path).debugDescription)")
            return
        }
    }

    /// Otherwise every user could ask the daemon, which may look at every process, what a process has open or mapped.
    @Test("Of proc nothing but the ways to network namespaces is looked up: what is there and what is not look alike")
    func unseen() throws {
        let opened = OwnedDescriptor(adopting: unsafe open("/dev/null", O_RDONLY | O_CLOEXEC))
        for process in ["/proc/self", "/proc/thread-self", "/proc/\(getpid())", "/proc/\(getpid())/task/\(getpid())"] {
            let there = [
                "fd/\(opened.rawValue)", "fdinfo/\(opened.rawValue)", "root/etc", "cwd/.", "exe", "ns/mnt", "net/tcp",
                "status",
                "map_files", "attr/current",
            ]
            let missing = [
                "fd/99999", "fdinfo/99999", "root/none", "cwd/none", "none", "ns/none", "net/none", "map_files/0-1",
            ]
            for name in there + missing {
                let path = process + "/" + name
                guard case .notFollowed(let words) = Self.error(path) else {
                    Issue.record("\(path): \(Self.error(path).debugDescription)")
                    continue
                }
                // The words say as little: they end where the path leaves the way.
                let shown = path.replacing(process, with: "P").split(separator: "/").prefix(2).last ?? ""
                #expect(words.contains("/\(shown) is not followed: of proc only") || name.hasPrefix("ns/"), "\(words)")
            }
        }
        for name in [
            "/proc/sys/kernel", "/proc/sys/none", "/proc/net/tcp", "/proc/none", "/proc/mounts", "/proc/1x/ns/net",
        ] {
            #expect(Self.isRefused(name), "\(name)")
        }
    }

    @Test("A path has at most 64 names, and leads through at most 256 with those of its links")
    func bounds() throws {
        try withFolder(mode: 0o755) { folder in
            let deepest = "/" + Array(repeating: "a", count: 64).joined(separator: "/")
            #expect(NamespaceReference(deepest) != nil && NamespaceReference(deepest + "/") != nil)
            #expect(NamespaceReference(deepest + "/a") == nil)
            #expect(NamespaceReference("/" + String(repeating: "a/", count: 1900)) == nil)
            // A link of root's, with a way through 1,600 names, 40 times: 0.27 s before there was a bound.
            let target = String(repeating: "../" + folder.split(separator: "/")[1] + "/", count: 100)
            for n in 1...40 { unsafe symlink(target + "link\(n + 1)", folder + "/link\(n)") }
            let began = Instant.now
            #expect(Self.isRefused(folder + "/link1"))
            #expect(Instant.now - began < .milliseconds(100))
        }
    }

    @Test("A link in a folder where others can put one is not followed, though root or this user made it")
    func planted() throws {
        try withFolder(mode: 0o777) { folder in
            unsafe symlink("/proc/self/ns/net", folder + "/link")
            unsafe symlink("/proc", folder + "/proc")
            #expect(Self.isRefused(folder + "/link"))
            #expect(Self.isRefused(folder + "/proc/self/ns/net"))
            #expect(Self.isRefused("/" + folder + "//./link"))
        }
    }

    @Test("Who is not root learns nothing of a folder that not everybody may look into")
    func hiddenFromCaller() throws {
        try withFolder(mode: 0o700) { folder in
            unsafe close(creat(folder + "/file", 0o644))
            unsafe symlink("/proc/self/ns/net", folder + "/link")
            for name in ["file", "file/x", "none", "none/x", "link/x"] {
                let path = folder + "/" + name
                #expect(Self.error(path, for: 1000) == .hiddenFromCaller(path))
                #expect(Self.error(path) != .hiddenFromCaller(path))
            }
            // Only what is in it is hidden.
            #expect(Self.error(folder, for: 1000) == .notNetworkNamespace(folder))
        }
        try withFolder(mode: 0o711) { folder in
            #expect(Self.error(folder + "/none", for: 1000) == .notFound(folder + "/none"))
        }
        // Members of its group may not look into this one.
        try withFolder(mode: 0o701) { folder in
            #expect(Self.error(folder + "/none", for: 1000) == .hiddenFromCaller(folder + "/none"))
        }
    }

    @Test(
        "Only root's own folder is root's alone",
        arguments: [
            (0, 0o755, true), (0, 0o700, true), (0, 0o555, true), (0, 0o775, false), (0, 0o757, false),
            (0, 0o1777, false), (0, 0o2775, false), (1000, 0o755, false), (1000, 0o700, false),
        ] as [(UInt32, UInt32, Bool)])
    func folders(_ owner: UInt32, _ mode: UInt32, _ isRoots: Bool) {
        let status = FileStatus(device: 1, inode: 2, owner: owner, mode: S_IFDIR | mode)
        #expect(status.isRootsAlone == isRoots)
    }

    @Test(
        "A path is taken apart at its slashes and nowhere else",
        arguments: [
            ("/a/b", ["a", "b"]), ("//a/./b", ["a", "b"]), ("/a/", ["a", "."]), ("/a/.", ["a", "."]), ("/", ["."]),
            ("../a", ["..", "a"]), ("/a/\u{301}b", ["a", "\u{301}b"]), ("/.a/...", [".a", "..."]),
        ])
    func names(_ path: String, _ names: [String]) {
        #expect(path.pathNames == names)
    }

    private func withFolder(mode: mode_t, _ body: (String) throws -> Void) throws {
        let folder = "/tmp/kmesh-bypass-walk-\(getpid())-\(UInt32.random(in: 0...(.max)))"
        try #require(unsafe mkdir(folder, 0o700) == 0)
        defer {
            for entry in (try? Files.entries(in: folder)) ?? [] { try? Files.remove(folder + "/" + entry.name) }
            unsafe rmdir(folder)
        }
        // mkdir heeds the umask.
        try #require(unsafe chmod(folder, mode) == 0)
        try body(folder)
    }
}
