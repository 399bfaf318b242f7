package import MeshSandbox

/// A control group as the kubelet makes it for a pod, below one that is this test's alone.
package struct PodGroup {
    /// The kubelet's two ways to name groups.
    package enum Driver: String, CaseIterable, Sendable {
        case systemd, cgroupfs
    }

    /// Of control groups. Version 1 has a tree for each controller, of which the kubelet uses all.
    package enum Version: String, CaseIterable, Sendable {
        case one, two
    }

    package let uid: String
    private let sandbox: MeshSandbox
    /// From the test's own to the container's, which holds the processes.
    private let folders: [String]

    package static func with<Result>(
        _ driver: Driver, _ version: Version = .two, _ sandbox: MeshSandbox, _ body: (PodGroup) async throws -> Result
    ) async throws -> Result {
        let number = sandbox.pod.filter(\.isNumber)
        let uid = "3f1c0000-\(driver == .systemd ? "5ed1" : "c4f5")-4000-8000-\(number)"
        let below =
            switch driver {
            case .systemd:
                [
                    "kubepods.slice", "kubepods-burstable.slice",
                    "kubepods-burstable-pod\(uid.replacing("-", with: "_")).slice", "cri-containerd-4711.scope",
                ]
            case .cgroupfs: ["kubepods", "besteffort", "pod\(uid)", "4711"]
            }
        // Not the pod's own name: what has "-pod" in its name is taken for a pod's.
        var folders = [try await mount(version, sandbox) + "/" + sandbox.peer]
        for name in below { folders.append("\(folders[folders.count - 1])/\(name)") }
        let group = PodGroup(uid: uid, sandbox: sandbox, folders: folders)
        return try await scoped {
            for folder in folders { try await sandbox.run(["mkdir", folder], in: .host) }
            return try await body(group)
        } cleanUp: {
            for folder in folders.reversed() {
                // A process that was ended may take a moment to go.
                try await eventually("\(folder) is removed") {
                    try await sandbox.run(["sh", "-c", "! test -d \(folder) || rmdir \(folder) || true"], in: .host)
                    return try await sandbox.run(["sh", "-c", "test -d \(folder) || echo gone"], in: .host) != ""
                }
            }
        }
    }

    /// Puts a process into the container's group.
    package func add(_ pid: Int) async throws {
        let file = folders[folders.count - 1] + "/cgroup.procs"
        try await sandbox.run(["sh", "-c", "echo \(pid) > \(file)"], in: .host)
    }

    /// Where that version is mounted, or else the other one.
    package static func mount(_ version: Version, _ sandbox: MeshSandbox) async throws -> String {
        let mounts = try await sandbox.run(["cat", "/proc/self/mounts"], in: .host).split(separator: "\n")
            .map { $0.split(separator: " ") }
        let two = mounts.first { $0.count > 3 && $0[2] == "cgroup2" }
        let one = mounts.first { $0.count > 3 && $0[2] == "cgroup" && $0[3].contains("name=systemd") }
        let found = version == .two ? two ?? one : one ?? two
        guard let found else { throw UnmetExpectation(description: "no control groups are mounted") }
        return String(found[1])
    }
}
