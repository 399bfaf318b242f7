import Linux
import MeshSandbox
import StrictJSON
import SystemPackage
import TestSupport
import Testing

extension KernelTests {
    /// The daemon can open nothing for some time, or not look at it. What it cannot look at is still there.
    @Suite struct ShortageTests {
        private static let errors: [Errno] = [
            .tooManyOpenFiles, .tooManyOpenFilesInSystem, .noMemory, .ioError, .permissionDenied,
        ]

        @Test(arguments: errors)
        func aBypassThatCannotBeLookedAtGoesOn(_ error: Errno) async throws {
            try await Rig.withoutDaemon(["--check-interval", "1"]) { rig in
                let faults = try Faults(in: rig.folder.path)
                try await rig.start(environment: faults.environment)
                try await rig.sandbox.install(.iptables)
                let on = try await rig.on(ttl: 3600, owner: "alice")
                let subscriber = try await rig.subscribe()
                for operation in ["open /run/netns", "open"] {
                    faults.plan.arm(.fail(error), at: operation, times: .max)
                    try await eventually("the daemon has looked twice, and could not: \(operation)") {
                        faults.plan.injected >= 4
                    }
                    #expect(try await rig.sandbox.paths == .app)
                    #expect(try await rig.entries == 1)
                    faults.plan.disarm()
                    #expect(try await rig.list().map(\.owner) == ["alice"])
                }
                try await eventually("all is well again") { try await rig.status().state == "on" }
                #expect(try await rig.status().generation == on.generation)
                try await rig.off()
                // Nothing untrue was reported in between.
                var names: [String] = []
                while names.last != "off" { names.append(try await subscriber.next().name) }
                #expect(!names.contains("gone") && !names.contains("expired"), "\(names)")
            }
        }

        /// Where the pod's control group may be cannot be read, or whether a folder belongs to root.
        @Test(arguments: ["opendir /sys/fs/cgroup", "statx /sys/fs/cgroup"])
        func aPodThatCannotBeSearchedForIsNotCalledMissing(_ operation: String) async throws {
            try await Rig.withoutDaemon { rig in
                let faults = try Faults(in: rig.folder.path)
                try await rig.start(environment: faults.environment)
                let pod = JSONValue.string("pod:3f1c0000-0000-4000-8000-000000000000")
                #expect(try await rig.refusal("status", [pod]) == .notFound)
                faults.plan.arm(.fail(.ioError), at: operation, times: .max)
                #expect(try await rig.refusal("status", [pod])?.kind == "kernel-refused")
                faults.plan.disarm()
            }
        }

        /// Where only a process has the namespace, every process is looked at: each may be the one.
        @Test(arguments: [Errno.ioError, .permissionDenied])
        func aNamespaceThatOnlyAProcessHasGoesOn(_ error: Errno) async throws {
            try await Rig.withoutDaemon(["--check-interval", "1"]) { rig in
                let faults = try Faults(in: rig.folder.path)
                try await rig.start(environment: faults.environment)
                let start = """
                    unshare -n sleep 300 >/dev/null 2>&1 & name=$!
                    while [ "$(readlink /proc/$name/exe)" != "$(realpath "$(command -v sleep)")" ]; do
                        kill -0 $name || exit
                        sleep 0.01
                    done
                    nsenter --net=/proc/$name/ns/net sleep 300 >/dev/null 2>&1 &
                    echo $name $!
                    """
                let pids = try await rig.sandbox.run(["bash", "-c", start], in: .host).split { !$0.isNumber }
                let (name, holder) = (String(pids[0]), String(pids[1]))
                try await scoped {
                    let on = try await rig.on("pid:\(name)", owner: "alice")
                    faults.plan.arm(.fail(error), at: "stat /proc", times: .max)
                    try await rig.sandbox.run(["kill", name], in: .host)
                    try await eventually("the daemon has looked twice, and could not") { faults.plan.injected >= 2 }
                    #expect(try await rig.entries == 1)
                    let listed = try await rig.list()
                    #expect(listed.map(\.owner) == ["alice"] && listed[0].codes == ["unseen"], "\(listed)")
                    faults.plan.arm(.fail(error), at: "opendir /proc", times: .max)
                    try await eventually("the daemon has looked, and could not") { faults.plan.injected >= 2 }
                    #expect(try await rig.entries == 1)
                    faults.plan.disarm()
                    try await eventually("it is found again") { try await rig.list().first?.state == "on" }
                    #expect(try await rig.list().map(\.inode) == [on.inode])
                } cleanUp: {
                    try await rig.sandbox.run(["kill", holder], in: .host)
                }
                // A process that has ended is not one that cannot be looked at.
                try await eventually("the bypass goes with its namespace") { try await rig.entries == 0 }
            }
        }
    }
}
