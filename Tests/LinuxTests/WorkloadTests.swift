import Glibc
import Linux
import Testing

/// Against a tree of folders like the kubelet's, with the numbers of processes that live.
@Suite struct WorkloadTests {
    fileprivate static let uid = "3f1c0d52-7a55-4a0e-9d5c-0f1b1c6f8a11"
    private static let escaped = "3f1c0d52_7a55_4a0e_9d5c_0f1b1c6f8a11"
    private static let id = "9c1d" + String(repeating: "0123456789abcdef", count: 3) + "deadbeef0000"
    private static let other = String(repeating: "fedcba9876543210", count: 4)
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
            // A hybrid hierarchy (cgroups(7)): version 2 beside version 1's controllers.
            "unified/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod\(escaped).slice/crio-1.scope",
            "systemd/kubepods/burstable/pod\(uid)/0123abcd",
            // --cgroup-root
            "site.slice/site-kubepods.slice/site-kubepods-pod\(escaped).slice/cri-containerd-1.scope",
            "site/kubepods/burstable/pod\(uid)/0123abcd",
            // The kubelet in a container: kind on Docker and on Podman, both drivers, both versions.
            "system.slice/docker-\(id).scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/"
                + "kubelet-kubepods-burstable-pod\(escaped).slice/cri-containerd-1.scope",
            "docker/\(id)/kubelet/kubepods/besteffort/pod\(uid)/0123abcd",
            "machine.slice/libpod-\(id).scope/container/kubelet.slice/kubelet-kubepods.slice/"
                + "kubelet-kubepods-pod\(escaped).slice/cri-containerd-1.scope",
            "systemd/docker/\(id)/kubelet/kubepods/pod\(uid)/0123abcd",
            // minikube's and systemd-nspawn's machines.
            "machine.slice/systemd-nspawn@node.service/payload/kubepods.slice/kubepods-pod\(escaped).slice/crio-1.scope",
            "machine.slice/machine-node.scope/kubepods/burstable/pod\(uid)/0123abcd",
            "lxc.payload.node/kubepods/burstable/pod\(uid)/0123abcd",
            // k3s, k0s and MicroK8s as services.
            "system.slice/k3s.service/kubepods/burstable/pod\(uid)/0123abcd",
            "system.slice/k0scontroller.service/kubepods.slice/kubepods-pod\(escaped).slice/cri-containerd-1.scope",
            "cpu,cpuacct/system.slice/snap.microk8s.daemon-kubelite.service/kubepods/pod\(uid)/0123abcd",
            // The kubelet with the systemd driver, containerd with cgroupfs.
            "system.slice/containerd.service/kubepods-burstable-pod\(escaped).slice:cri-containerd:\(id)",
            "systemd/system.slice/containerd.service/kubepods-pod\(escaped).slice:cri-containerd:\(id)",
            // A static pod's UID is a hash, without dashes.
            "kubepods/burstable/pod\(uid)/crio-\(id)",
        ])
    func layouts(_ path: String) throws {
        try withTree { tree in
            // As on any node: what is beside the pod does not hide it.
            try tree.put([1], in: "system.slice/web.service")
            try tree.put([1], in: "kubepods/besteffort/podffffffff-7a55-4a0e-9d5c-0f1b1c6f8a11/a")
            try tree.put([own], in: path)
            #expect(try tree.oldestProcess == own)
        }
    }

    @Test(
        "Rootless Kubernetes is found in what systemd has given a user, and only there",
        arguments: ["app.slice/k3s.service/kubepods/burstable/pod\(uid)/0123abcd", "k3s.service/kubepods/pod\(uid)/a"])
    func rootless(_ path: String) throws {
        for (folder, isFound) in [
            ("user@\(getuid()).service", true), ("user@\(getuid() + 1).service", false), ("user@.service", false),
            ("lxc.payload.web", false),
        ] {
            try withTree { tree in
                try tree.put([own], in: folder + "/" + path)
                // The folders of the test are this user's: for another one's eyes they are delegated.
                let found = try tree.processes(of: .pod(uid: Self.uid), owner: getuid() + 1)
                #expect(found.map(\.pid) == (isFound ? [own] : []), "\(folder)")
            }
        }
    }

    @Test(
        "A container is found by its id, wherever it is",
        arguments: [
            "kubepods.slice/kubepods-pod\(escaped).slice/cri-containerd-\(id).scope", "kubepods/pod\(uid)/\(id)",
            "kubepods.slice/kubepods-pod\(escaped).slice/crio-\(id).scope", "docker/\(id)",
            "system.slice/docker-\(id).scope", "machine.slice/libpod-\(id).scope", "default/\(id)",
            "system.slice/docker-\(other).scope/kubelet/kubepods/pod\(uid)/\(id)", "memory/docker/\(id)",
            "system.slice/containerd.service/kubepods-burstable-pod\(escaped).slice:cri-containerd:\(id)",
        ])
    func container(_ path: String) throws {
        try withTree { tree in
            try tree.put([own], in: path)
            try tree.put([1], in: "kubepods.slice/kubepods-pod\(Self.escaped).slice/crio-conmon-\(Self.id).scope")
            try tree.put([1], in: "machine.slice/libpod-conmon-\(Self.id).scope")
            for text in [Self.id, String(Self.id.prefix(12)), "containerd://" + Self.id] {
                let container = try #require(Workload(containerID: text))
                #expect(try tree.processes(of: container).map(\.pid) == [own])
            }
        }
    }

    @Test("The list has each pod with its containers, once, also where one group is that of both")
    func list() throws {
        let slice = "kubepods-pod\(Self.escaped).slice"
        let (pod, container) = (Workload(podUID: Self.uid), Workload(containerID: Self.id))
        for path in [
            "\(slice)/cri-containerd-\(Self.id).scope", "kubepods/pod\(Self.uid)/\(Self.id)",
            "system.slice/containerd.service/\(slice):cri-containerd:\(Self.id)",
        ] {
            try withTree { tree in
                for root in ["cpu", "memory"] { try tree.put([own], in: root + "/" + path) }
                let list = WorkloadList(root: tree.path, owner: getuid())
                #expect(list.elements.map(\.workload) == [pod, container], "\(path)")
            }
        }
    }

    @Test("The beginning of an id has to be that of one container")
    func ambiguous() throws {
        let twin = String(Self.id.prefix(20) + Self.other.prefix(44))
        try withTree { tree in
            try tree.put([own], in: "docker/\(Self.id)")
            try tree.put([own], in: "docker/\(twin)")
            let short = try #require(Workload(containerID: Self.id.prefix(20)))
            guard case .failure(let ambiguous) = try short.processes(root: tree.path, owner: getuid()) else {
                Issue.record("one of two was taken")
                return
            }
            #expect(ambiguous.ids == [twin, Self.id].sorted())
            let long = try #require(Workload(containerID: Self.id.prefix(21)))
            #expect(try tree.processes(of: long).map(\.pid) == [own])
        }
    }

    @Test(
        "A text that is not a container's id is refused",
        arguments: [
            "", "0123456789a", "0123456789ag", "0123456789AB", "podman://0123456789ab", "containerd://",
            "../0123456789ab",
            id + "0",
        ])
    func ids(_ text: String) {
        #expect(Workload(containerID: text) == nil)
    }

    @Test("Of several processes the oldest is taken, whatever its number and its container")
    func oldest() throws {
        try withChild { child in
            try withTree { tree in
                try tree.put([child, own], in: "kubepods/pod\(Self.uid)/a")
                try tree.put([child], in: "kubepods/pod\(Self.uid)/b")
                // Older than both, and of another user.
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
            "kubepods/podffffffff/pod\(uid)/a",
            "kubepods.slice/kubepods-pod\(escaped).slice.old/a",
            "kubepods-pod\(escaped).slice.old:cri-containerd:\(id)",
        ])
    func lookalikes(_ path: String) throws {
        try withTree { tree in
            try tree.put([own], in: path)
            #expect(try tree.oldestProcess == nil)
        }
    }

    @Test("A group without living processes gives no process", arguments: [[], [0], [2_147_483_647]] as [[Int32]])
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
            #expect(try tree.processes(of: .pod(uid: Self.uid), owner: getuid() + 1).isEmpty)
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
    func uids(_ uid: String) {
        #expect(Workload(podUID: uid) == nil)
    }

    // MARK: a fake tree

    private struct Tree {
        var path: String

        /// Of the pod's.
        var oldestProcess: Int32? {
            get throws { try processes(of: .pod(uid: WorkloadTests.uid)).first?.pid }
        }

        var count: Int {
            get throws { try processes(of: .pod(uid: WorkloadTests.uid)).count }
        }

        func processes(of workload: Workload, owner: UInt32 = getuid()) throws -> [Workload.Process] {
            try workload.processes(root: path, owner: owner).get()
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
