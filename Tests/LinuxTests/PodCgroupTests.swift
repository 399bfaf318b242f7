import Glibc
import Linux
import Testing

/// Against a tree of folders like the kubelet's, with the numbers of processes that live.
@Suite struct PodCgroupTests {
    fileprivate static let uid = "3f1c0d52-7a55-4a0e-9d5c-0f1b1c6f8a11"
    private static let escaped = "3f1c0d52_7a55_4a0e_9d5c_0f1b1c6f8a11"
    private let own = getpid()

    @Test(
        "A pod is found under every driver, version and QoS class",
        arguments: [
            "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod\(escaped).slice/cri-containerd-1.scope",
            "kubepods.slice/kubepods-pod\(escaped).slice/crio-1.scope",
            "kubepods/besteffort/pod\(uid)/0123abcd",
            "kubepods/pod\(uid)/0123abcd",
            "memory/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod\(escaped).slice/docker-1.scope",
            "cpu,cpuacct/kubepods/burstable/pod\(uid)/0123abcd",
            "kubelet/kubepods/burstable/pod\(uid)/0123abcd/nested",
            "kubepods/pod\(uid)",
        ])
    func layouts(_ path: String) throws {
        try withTree { tree in
            try tree.put([own], in: path)
            #expect(try tree.oldestProcess == own)
        }
    }

    @Test("Of several processes the oldest is taken, whatever its number and its container")
    func oldest() throws {
        try withChild { child in
            try withTree { tree in
                try tree.put([child, own], in: "kubepods/pod\(Self.uid)/a")
                try tree.put([child], in: "kubepods/pod\(Self.uid)/b")
                // Older than both, and of somebody else.
                try tree.put([1], in: "kubepods/podffffffff/c")
                #expect(try tree.oldestProcess == own)
            }
            try withTree { tree in
                try tree.put([child], in: "kubepods/pod\(Self.uid)/a")
                #expect(try tree.oldestProcess == child)
            }
        }
    }

    @Test(
        "A folder that only looks alike is none of the pod's",
        arguments: [
            "kubepods/pod\(uid)0/a", "kubepods/xpod\(uid)/a", "kubepods/pod\(uid.dropLast())/a",
            "system.slice/web.service/pod\(uid)/a", "kubepods/podffffffff/pod\(uid)/a",
            "kubepods.slice/kubepods-pod\(escaped).slice.old/a",
        ])
    func lookalikes(_ path: String) throws {
        try withTree { tree in
            try tree.put([own], in: path)
            #expect(try tree.oldestProcess == nil)
        }
    }

    @Test("A group without living processes gives nobody", arguments: [[], [0], [2_147_483_647]] as [[Int32]])
    func nobody(_ processes: [Int32]) throws {
        try withTree { tree in
            try tree.put(processes, in: "kubepods/pod\(Self.uid)/a")
            #expect(try tree.oldestProcess == nil)
        }
    }

    @Test("An empty group of one controller does not hide the pod in another")
    func severalControllers() throws {
        try withTree { tree in
            try tree.put([], in: "cpu/kubepods/pod\(Self.uid)/a")
            try tree.put([own], in: "memory/kubepods/pod\(Self.uid)/a")
            try tree.put([], in: "pids/kubepods/pod\(Self.uid)/a")
            #expect(try tree.oldestProcess == own)
        }
    }

    @Test(
        "A group in a folder that others can put one into, or that is another user's, is not believed",
        arguments: [0, 1, 2])
    func delegated(_ level: Int) throws {
        let folders = ["lxc.payload.web", "lxc.payload.web/kubepods", "lxc.payload.web/kubepods/pod\(Self.uid)"]
        for mode in [0o775, 0o757] as [mode_t] {
            try withTree { tree in
                try tree.put([own], in: folders[2] + "/a")
                #expect(try tree.oldestProcess == own)
                try #require(unsafe chmod(tree.path + "/" + folders[level], mode) == 0)
                #expect(try tree.oldestProcess == nil)
            }
        }
        // The folders of the test are this user's: for root's eyes they are delegated.
        try withTree { tree in
            try tree.put([own], in: folders[2] + "/a")
            #expect(try PodCgroup.processes(uid: Self.uid, root: tree.path, owner: getuid() + 1).isEmpty)
        }
    }

    @Test("However many groups and processes a pod makes, few are read: 1,024 and 4,096")
    func bounded() throws {
        try withTree { tree in
            let pod = "kubepods/pod\(Self.uid)"
            try tree.put([own], in: pod + "/sandbox")
            for n in 0..<1100 { try tree.put([own], in: pod + "/c/\(n)") }
            // Deep enough to run over the stack of a thread that goes down one call a level.
            try tree.put([own], in: pod + "/d" + String(repeating: "/x", count: 1500))
            #expect(try tree.count < 1024)
        }
        try withTree { tree in
            try tree.put(Array(repeating: own, count: 5000), in: "kubepods/pod\(Self.uid)/a")
            #expect(try tree.count == 4096)
        }
    }

    @Test("A UID that could lead out of the tree is refused", arguments: ["", "../x", "a/b", "a.b", "a b"])
    func uids(_ uid: String) throws {
        #expect(!PodCgroup.isUID(uid))
        #expect(try PodCgroup.processes(uid: uid).isEmpty)
    }

    // MARK: a fake tree

    private struct Tree {
        var path: String

        /// Of the pod's.
        var oldestProcess: Int32? {
            get throws { try PodCgroup.processes(uid: PodCgroupTests.uid, root: path, owner: getuid()).first?.pid }
        }

        var count: Int {
            get throws { try PodCgroup.processes(uid: PodCgroupTests.uid, root: path, owner: getuid()).count }
        }

        func put(_ processes: [Int32], in folder: String) throws {
            try Files.makeFolder(path + "/" + folder)
            let text = processes.map { "\($0)\n" }.joined()
            try Files.write(Array(text.utf8), to: path + "/" + folder + "/cgroup.procs")
        }
    }

    private func withTree(_ body: (Tree) throws -> Void) throws {
        let tree = Tree(path: "/tmp/kmesh-bypass-pods-\(own)-\(UInt32.random(in: 0...(.max)))")
        try Files.makeFolder(tree.path)
        defer { remove(tree.path) }
        try body(tree)
    }

    private func remove(_ path: String) {
        for entry in (try? Files.entries(in: path)) ?? [] {
            if entry.isFolder { remove(path + "/" + entry.name) } else { try? Files.remove(path + "/" + entry.name) }
        }
        unsafe rmdir(path)
    }

    /// With a process that is younger than this one.
    private func withChild(_ body: (pid_t) throws -> Void) throws {
        var child: pid_t = 0
        var arguments: [UnsafeMutablePointer<CChar>?] = unsafe [strdup("sleep"), strdup("60"), nil]
        defer { for index in 0..<2 { unsafe free(arguments[index]) } }
        let result = unsafe posix_spawn(&child, "/bin/sleep", nil, nil, &arguments, nil)
        try #require(result == 0)
        defer {
            kill(child, SIGKILL)
            waitpid(child, nil, 0)
        }
        try body(child)
    }
}
