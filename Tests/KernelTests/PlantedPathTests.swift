import JSONRPC
import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension KernelTests {
    /// Clients name paths, and the daemon walks them as root. What a user has planted there gets the user nowhere.
    @Suite struct PlantedPathTests {
        /// Shell commands that plant something: `$1` is a folder that only root can write to, `$2` one in /tmp, `$3` the
        /// pod's namespace.
        private static func plant(_ script: String, _ rig: Rig, _ shared: String) async throws {
            try await rig.sandbox.run(
                ["sh", "-euc", script, "plant", rig.folder.path, shared, rig.sandbox.pod], in: .host)
        }

        /// With one more folder, in the place where every user can put files.
        private static func withSharedFolder(_ rig: Rig, _ body: (String) async throws -> Void) async throws {
            let shared = "/tmp/" + rig.sandbox.pod
            try await rig.sandbox.run(["mkdir", shared], in: .host)
            try await scoped {
                try await body(shared)
            } cleanUp: {
                try await rig.sandbox.run(["rm", "-r", "--one-file-system", shared], in: .host)
            }
        }

        private static func expectNamespace(_ names: [String], _ rig: Rig) async throws {
            let inode = try await rig.sandbox.inode(of: "/run/netns/" + rig.sandbox.pod)
            for name in names {
                do {
                    let status = try await rig.status(name)
                    #expect(status.inode == inode && status.netns == name, "\(name)")
                } catch let error as ErrorObject {
                    Issue.record("\(name): \(error.message)")
                }
            }
        }

        private static func expect(_ refusal: Refusal, _ names: [String], _ rig: Rig) async throws {
            for name in names {
                #expect(try await rig.refusal("bypass", [.string(name), "on"]) == refusal, "\(name)")
                #expect(try await rig.refusal("status", [.string(name)]) == refusal, "\(name)")
            }
            #expect(try await rig.list() == [])
        }

        @Test func rootsLinksInRootsFoldersAreFollowed() async throws {
            try await Rig.with { rig in
                let folder = rig.folder.path
                try await Self.plant(
                    """
                    cd $1
                    ln -s /run/netns/$3 absolute
                    ln -s ../netns/$3 relative
                    ln -s ../../../../../../run//./netns/$3 above
                    ln -s /var/run/netns/$3 var
                    mkdir sub; ln -s ../absolute sub/link; ln -s . sub/here; ln -s sub/ folder
                    # A chain as long as may be.
                    ln -s absolute 1; for n in $(seq 2 39); do ln -s $((n - 1)) $n; done
                    """, rig, "")
                let names = [
                    "absolute", "relative", "above", "var", "sub/link", "sub/here/here/link", "folder/link", "39",
                ]
                try await Self.expectNamespace(names.map { "\(folder)/\($0)" }, rig)
            }
        }

        @Test func aLinkInRunNetnsIsFollowedIfRootMadeIt() async throws {
            try await Rig.with { rig in
                let name = rig.sandbox.pod + "-link"
                try await rig.sandbox.withProcess(in: .pod) { pid in
                    // As people do for containers of Docker.
                    try await rig.sandbox.run(["ln", "-s", "/proc/\(pid)/ns/net", "/run/netns/\(name)"], in: .host)
                    try await scoped {
                        try await Self.expectNamespace([name, "/run/netns/\(name)", "/var/run/netns/\(name)"], rig)
                        try await rig.sandbox.run(["chown", "-h", "1000", "/run/netns/\(name)"], in: .host)
                        try await Self.expect(.notANetns, [name, "/run/netns/\(name)"], rig)
                    } cleanUp: {
                        try await rig.sandbox.run(["rm", "/run/netns/\(name)"], in: .host)
                    }
                }
            }
        }

        @Test func whatUsersCouldHavePlantedIsNotFollowed() async throws {
            try await Rig.with { rig in
                let folder = rig.folder.path
                try await Self.withSharedFolder(rig) { shared in
                    try await Self.plant(
                        """
                        cd $1
                        ln -s /run/netns/$3 theirs; chown -h 1000 theirs
                        ln -s theirs to-theirs
                        for folder in owned group others sticky; do mkdir $folder; ln -s /run/netns/$3 $folder/link; done
                        chown 1000 owned; chmod 775 group; chmod 757 others; chmod 1777 sticky
                        ln -s sticky/link to-sticky
                        # The folder may be a link, too.
                        ln -s /run $2/run; chmod 1777 $2
                        """, rig, shared)
                    let names =
                        ["theirs", "to-theirs", "to-sticky"]
                        + ["owned", "group", "others", "sticky"].map { $0 + "/link" }
                    let planted = names.map { "\(folder)/\($0)" } + ["\(shared)/run/netns/\(rig.sandbox.pod)"]
                    try await Self.expect(.notANetns, planted, rig)
                    let message = try await rig.message("status", [.string(folder + "/theirs")])
                    #expect(
                        message == "\(folder)/theirs is a link that not only root could have put there, "
                            + "so it is not followed: name what it leads to")
                }
            }
        }

        @Test func tooManyLinksLeadNowhere() async throws {
            try await Rig.with { rig in
                let folder = rig.folder.path
                try await Self.plant(
                    """
                    cd $1
                    ln -s a b; ln -s b a; ln -s self/x self
                    ln -s /run/netns/$3 1; for n in $(seq 2 41); do ln -s $((n - 1)) $n; done
                    """, rig, "")
                try await Self.expectNamespace(["\(folder)/40"], rig)
                try await Self.expect(.notFound, ["a", "b", "self", "self/x", "41"].map { "\(folder)/\($0)" }, rig)
            }
        }

        @Test func whatAProcessHoldsIsNoWay() async throws {
            try await Rig.with { rig in
                let pod = rig.sandbox.pod
                try await rig.sandbox.withProcess(in: .pod) { pid in
                    try await Self.expectNamespace(["/proc/\(pid)/task/\(pid)/ns/net", "/proc/./\(pid)//ns/net"], rig)
                    try await rig.sandbox.run(["ln", "-s", "/proc/\(pid)/root", rig.folder.path + "/root"], in: .host)
                    let held = ["root", "root/run/netns/\(pod)", "cwd/run/netns/\(pod)", "fd/0", "exe"]
                    // What is not there is refused alike.
                    let missing = ["root/none", "cwd/none", "fd/99999", "ns/none", "none"]
                    let names =
                        (held + missing).map { "/proc/\(pid)/\($0)" } + [rig.folder.path + "/root/run/netns/\(pod)"]
                    try await Self.expect(.notANetns, names + ["/proc/\(pid)/ns/mnt", "/proc/\(pid)/ns"], rig)
                }
            }
        }

        /// Otherwise every operator could ask the daemon what is in root's folders.
        @Test func whoIsNotRootLearnsNothingOfPrivateFolders() async throws {
            try await Rig.withoutDaemon { rig in
                try await rig.withUsers(operators: ["operator"]) { users in
                    let user = try #require(users["operator"])
                    try await rig.start()
                    try await rig.openSocket()
                    let folder = rig.folder.path + "/private"
                    try await Self.plant(
                        """
                        mkdir -m 700 $1/private; cd $1/private
                        touch file; mkfifo fifo; mkdir sub; ln -s none link; ln -s /run/netns/$3 web
                        """, rig, "")
                    func answers(_ names: [String]) async throws -> [Refusal?] {
                        let lines = names.map {
                            #"{"jsonrpc":"2.0","id":1,"method":"status","params":["\#(folder)/\#($0)"]}"#
                        }
                        return try await rig.lines(as: user, lines).map { line in
                            guard case .failure(let error) = try Response(line).outcome else { return nil }
                            return Refusal(error)
                        }
                    }
                    let denied = Refusal(code: -32001, kind: "permission-denied")
                    let others = ["file", "file/x", "fifo", "sub", "sub/none", "link", "none"]
                    #expect(try await answers(others) == others.map { _ in denied })
                    // A namespace is what the daemon is for; the policy says whose.
                    #expect(try await answers(["web"]) == [nil])
                    try await Self.expect(.notFound, ["\(folder)/none"], rig)
                }
            }
        }

        @Test func aMountIsNoLink() async throws {
            try await Rig.with { rig in
                let sandbox = rig.sandbox
                try await Self.withSharedFolder(rig) { shared in
                    try await sandbox.run(["chmod", "1777", shared], in: .host)
                    // Only root mounts, wherever that is.
                    let mounts = [rig.folder.path + "/mount", shared + "/mount"]
                    for mount in mounts {
                        try await sandbox.run(["touch", mount], in: .host)
                        try await sandbox.run(["mount", "--bind", "/run/netns/\(sandbox.pod)", mount], in: .host)
                    }
                    try await scoped {
                        try await Self.expectNamespace(mounts, rig)
                    } cleanUp: {
                        for mount in mounts { try await sandbox.run(["umount", mount], in: .host) }
                    }
                }
            }
        }
    }
}
