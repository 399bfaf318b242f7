import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension KernelTests {
    /// What is no pod's namespace is left alone, whatever it is called.
    @Suite struct RefusedNamespaceTests {
        /// Neither method gets through; none may leave anything behind.
        private static func expect(
            _ refusal: Refusal, for names: [String], _ rig: Rig, sourceLocation: SourceLocation = #_sourceLocation
        ) async throws {
            for name in names {
                for (method, params) in [
                    ("status", [.string(name)]), ("bypass", [.string(name), "on"]), ("bypass", [.string(name), "off"]),
                ] as [(String, JSONValue)] {
                    let found = try await rig.refusal(method, params)
                    #expect(found == refusal, "\(method) \(name)", sourceLocation: sourceLocation)
                }
            }
            #expect(try await rig.list() == [], sourceLocation: sourceLocation)
        }

        /// Also where the policy allows `host`: that is a name, too, and only that one leads there.
        @Test(arguments: [false, true]) func theHostsNamespaceIsRefusedByAnyOtherName(_ isAllowed: Bool) async throws {
            try await Rig.withoutDaemon { rig in
                try await rig.write(
                    policy: isAllowed ? "[[grant]]\nusers = [\"root\"]\nrole = \"admin\"\nhost = true\n" : "")
                try await rig.start()
                let (sandbox, folder) = (rig.sandbox, rig.folder.path)
                let (named, linked) = (sandbox.peer + "-host", sandbox.peer + "-link")
                let daemon = "/proc/\(try rig.daemon.pid)"
                try await sandbox.run(["ln", "-s", daemon + "/ns/net", folder + "/link"], in: .host)
                try await sandbox.run(["ln", "-s", daemon, folder + "/folder"], in: .host)
                try await sandbox.run(["touch", folder + "/mount"], in: .host)
                try await sandbox.run(["mount", "--bind", daemon + "/ns/net", folder + "/mount"], in: .host)
                try await scoped {
                    try await sandbox.run(["ip", "netns", "attach", named, "\(try rig.daemon.pid)"], in: .host)
                    try await sandbox.run(["ln", "-s", named, "/run/netns/" + linked], in: .host)
                    let rules = try await sandbox.run(["nft", "list", "ruleset"], in: .host)
                    // Any process of the host's has it.
                    try await sandbox.withProcess(in: .host) { pid in
                        let names = [
                            daemon + "/ns/net", "pid:\(try rig.daemon.pid)", "pid:\(pid)", "/proc/self/ns/net",
                            "/proc/thread-self/ns/net", "//proc/./self//ns/net", "/proc/\(pid)/task/\(pid)/ns/net",
                            folder + "/link", folder + "/folder/ns/net", folder + "/mount", named, linked,
                            "/run/netns/\(named)", "/var/run/netns/\(linked)", "/run/./netns//\(named)",
                        ]
                        try await Self.expect(.host, for: names, rig)
                    }
                    if isAllowed {
                        #expect(try await rig.status("host").inode == sandbox.inode(of: daemon + "/ns/net"))
                        #expect(try await rig.on("host").changed == true)
                        #expect(try await rig.list().map(\.netns) == ["host"])
                        #expect(try await rig.off("host").changed == true)
                    } else {
                        try await Self.expect(.host, for: ["host"], rig)
                    }
                    #expect(try await sandbox.run(["nft", "list", "ruleset"], in: .host) == rules)
                } cleanUp: {
                    try await sandbox.run(["umount", folder + "/mount"], in: .host)
                    try await sandbox.run(["rm", "--force", "/run/netns/" + linked], in: .host)
                    try await sandbox.run(["ip", "netns", "delete", named], in: .host)
                }
            }
        }

        /// Also where no one may look at process 1: whose namespace it has is known.
        @Test func theNamespaceOfTheFirstProcessIsRefused() async throws {
            try await Rig.with { rig in
                let (sandbox, folder) = (rig.sandbox, rig.folder.path)
                let linked = sandbox.peer + "-first"
                try await sandbox.run(["ln", "-s", "/proc/1/ns/net", folder + "/link"], in: .host)
                try await sandbox.run(["ln", "-s", "/proc/1/task", folder + "/task"], in: .host)
                try await sandbox.run(["ln", "-s", "/proc/1/ns/net", "/run/netns/" + linked], in: .host)
                try await sandbox.run(["mkdir", folder + "/proc"], in: .host)
                try await sandbox.run(["mount", "-t", "proc", "proc", folder + "/proc"], in: .host)
                try await scoped {
                    let names = [
                        "pid:1", "pid:01", "/proc/1/ns/net", "//proc//1/ns/net", "/proc/./1/ns/net",
                        "/proc/1/task/1/ns/net", folder + "/link", folder + "/task/1/ns/net", linked,
                        "/run/netns/\(linked)", folder + "/proc/1/ns/net",
                    ]
                    try await Self.expect(.host, for: names, rig)
                } cleanUp: {
                    try await sandbox.run(["umount", folder + "/proc"], in: .host)
                    try await sandbox.run(["rm", "/run/netns/" + linked], in: .host)
                }
            }
        }

        @Test func whatIsNoNetworkNamespaceIsRefused() async throws {
            try await Rig.with { rig in
                let folder = rig.folder.path
                try await rig.sandbox.run(["touch", folder + "/file"], in: .host)
                try await rig.sandbox.run(["ln", "-s", folder + "/file", folder + "/link"], in: .host)
                // To open one would wait for a writer.
                try await rig.sandbox.run(["mkfifo", folder + "/fifo"], in: .host)
                let files = ["file", "link", "fifo"].map { "\(folder)/\($0)" } + [folder, rig.socket, "/dev/null"]
                let namespaces = ["mnt", "user", "pid", "uts"].map { "/proc/self/ns/\($0)" }
                try await Self.expect(.notANetns, for: files + namespaces, rig)
                try await rig.sandbox.withProcess(in: .pod) { pid in
                    try await Self.expect(.notANetns, for: ["/proc/\(pid)/ns/mnt", "/proc/\(pid)/ns/user"], rig)
                }
            }
        }

        @Test func whatIsNotThereIsNotFound() async throws {
            try await Rig.with { rig in
                let loop = rig.folder.path + "/loop"
                try await rig.sandbox.run(["ln", "-s", loop, loop], in: .host)
                let names = [
                    "none", "...", "with space", "naïve", "/run/netns/none", "/none/at/all", "/etc/passwd/x",
                    loop, "pid:4194305", "pid:2147483647", "pod:00000000-0000-0000-0000-000000000000",
                    String(repeating: "n", count: 255), "/" + String(repeating: "n", count: 300),
                ]
                try await Self.expect(.notFound, for: names.map { $0 == "none" ? rig.sandbox.pod + "-none" : $0 }, rig)
            }
        }

        @Test func whatNamesNothingIsAWrongParameter() async throws {
            try await Rig.with { rig in
                let pod = rig.sandbox.pod
                let names = [
                    "", ".", "..", "a/b", "./\(pod)", "../netns/\(pod)", "\(pod)/", "\(pod)\u{0}",
                    "/run/netns/\(pod)\u{0}x", "pid:", "pid:0", "pid:x", "pid:-1", "pid:+1", "pid: 1", "pid:1 ",
                    "pid:99999999999", "pid:1/../2",
                    "/run/netns/../netns/\(pod)", "/proc/1/../self/ns/net", "/..", "/run/netns/\(pod)/..",
                    "pod:", "pod:../x", "pod:a/b", "pod:a.b", "pod:" + String(repeating: "a", count: 65),
                    String(repeating: "n", count: 256), "/" + String(repeating: "n", count: 4096),
                ]
                try await Self.expect(.invalidParams, for: names, rig)
            }
        }
    }
}
