import Linux
import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension KernelTests {
    /// The ways to name a namespace.
    @Suite struct NamespaceReferenceTests {
        @Test func everyFormLeadsToTheSameNamespace() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let name = rig.sandbox.pod
                let inode = try await rig.sandbox.inode(of: "/run/netns/\(name)")
                try await rig.sandbox.withProcess(in: .pod) { pid in
                    let link = rig.folder.path + "/link"
                    try await rig.sandbox.run(["ln", "-s", "/run/netns/\(name)", link], in: .host)
                    let names = [
                        name, "/run/netns/\(name)", "/var/run/netns/\(name)", "/proc/\(pid)/ns/net", "pid:\(pid)", link,
                    ]
                    for (index, reference) in names.enumerated() {
                        let on = try await rig.on(reference)
                        #expect(on.netns == reference && on.inode == inode && on.state == "on")
                        #expect(try await rig.sandbox.paths == .app, "\(reference)")
                        // Turned off by another name than on: it is the namespace that counts.
                        let other = names[(index + 1) % names.count]
                        let status = try await rig.status(other)
                        #expect(status.netns == other && status.inode == inode && status.state == "on")
                        #expect(try await rig.off(other).changed == true)
                        #expect(try await rig.sandbox.paths == .sidecar, "\(other)")
                    }
                }
            }
        }

        @Test func aNamespaceIsShownByItsNames() async throws {
            try await Rig.with { rig in
                let (pod, other, linked) = (rig.sandbox.pod, rig.sandbox.pod + "-other", rig.sandbox.pod + "-link")
                let inode = UInt64(try await rig.sandbox.inode(of: "/run/netns/\(pod)"))
                try await rig.sandbox.withProcess(in: .pod) { pid in
                    try await rig.sandbox.run(["ip", "netns", "attach", other, "\(pid)"], in: .host)
                    try await rig.sandbox.run(["ln", "-s", pod, "/run/netns/" + linked], in: .host)
                    try await scoped {
                        // A link is no name of the namespace's own: what it says may change at any time.
                        let names = try NamespaceReference.named(inode: inode)
                        #expect(Set(names) == [.name(pod), .name(other)])
                        let none = try NamespaceReference.named(inode: inode + 1_000_000)
                        #expect(none == [])
                    } cleanUp: {
                        try await rig.sandbox.run(["rm", "/run/netns/" + linked], in: .host)
                        try await rig.sandbox.run(["ip", "netns", "delete", other], in: .host)
                    }
                }
            }
        }

        @Test(arguments: PodGroup.Driver.allCases, PodGroup.Version.allCases)
        func aPodIsFoundByItsUID(_ driver: PodGroup.Driver, _ version: PodGroup.Version) async throws {
            try await Rig.withoutDaemon { rig in
                // Where it is allowed, a pod still does not mean it.
                try await rig.write(policy: "[[grant]]\nusers = [\"root\"]\nrole = \"admin\"\nhost = true\n")
                try await rig.start()
                try await rig.sandbox.install(.iptables)
                try await PodGroup.with(driver, version, rig.sandbox) { group in
                    let reference = "pod:\(group.uid)"
                    #expect(try await rig.refusal("status", [.string(reference)]) == .notFound)
                    // The host's, older than the pod's, as CRI-O's conmon is.
                    try await rig.sandbox.withProcess(in: .host) { monitor in
                        try await group.add(monitor)
                        #expect(try await rig.refusal("status", [.string(reference)]) == .host)
                        let message = try await rig.message("bypass", [.string(reference), "on"])
                        #expect(
                            message?.contains("the pod has hostNetwork, or its runtime") == true, "\(message ?? "")")
                        try await rig.sandbox.withProcess(in: .pod) { sandbox in
                            try await group.add(sandbox)
                            let inode = try await rig.sandbox.inode(of: "/run/netns/\(rig.sandbox.pod)")
                            #expect(try await rig.status(reference).inode == inode)
                        }
                    }
                    try await rig.sandbox.withProcess(in: .pod) { sandbox in
                        let inode = try await rig.sandbox.inode(of: "/run/netns/\(rig.sandbox.pod)")
                        try await group.add(sandbox)
                        // Somewhere else, as a container that makes namespaces of its own does.
                        try await rig.sandbox.withProcess(in: .peer) { other in
                            try await group.add(other)
                            let words = try await rig.message("bypass", [.string(reference), "on"]) ?? ""
                            #expect(words.contains("are in 2 namespaces") && words.contains("name one with pid:NUMBER"))
                            let peer = try await rig.sandbox.inode(of: "/run/netns/\(rig.sandbox.peer)")
                            for (id, pid) in [(inode, sandbox), (peer, other)] {
                                #expect(words.contains("\(id) of process \(pid)"), "\(words)")
                            }
                            // The one that has the pod's address.
                            let on = try BypassAnswer(
                                await rig.call(
                                    "bypass",
                                    ["netns": .string(reference), "state": "on", "expectAddresses": ["10.89.0.1"]]))
                            #expect(on.inode == inode)
                            #expect(try await rig.sandbox.paths == .app)
                        }
                        let on = try await rig.on(reference)
                        #expect(on.netns == reference && on.inode == inode)
                        #expect(try await rig.off(reference).changed == true)
                        #expect(try await rig.sandbox.paths == .sidecar)
                    }
                    // No process, no namespace.
                    let words = try await rig.message("bypass", [.string(reference), "on"])
                    #expect(words == "no network namespace: no process of pod \(group.uid) on this node")
                }
            }
        }

        /// As between two restarts of its containers, where the runtime has no pause container.
        @Test func aPodWithoutAProcessKeepsItsBypassAndItsName() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                try await PodGroup.with(.cgroupfs, .two, rig.sandbox) { group in
                    let reference = "pod:\(group.uid)"
                    let on = try await rig.sandbox.withProcess(in: .pod) { container in
                        try await group.add(container)
                        return try await rig.on(reference)
                    }
                    #expect(try await rig.status(reference).state == "on")
                    try await rig.sandbox.withProcess(in: .host) { monitor in
                        try await group.add(monitor)
                        #expect(try await rig.status(reference).inode == on.inode)
                    }
                    #expect(try await rig.off(reference).changed == true)
                    #expect(try await rig.sandbox.paths == .sidecar)
                    // Without a bypass nothing is known of it.
                    #expect(try await rig.refusal("status", [.string(reference)]) == .notFound)
                }
            }
        }

        /// One name is one thing at one time: what counts is where it led when it was used.
        @Test func aNameThatIsUsedAgainIsAnotherNamespace() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.withNamespace { name in
                    let first = try await rig.on(name)
                    try await rig.sandbox.run(["ip", "netns", "delete", name], in: .host)
                    try await rig.sandbox.run(["ip", "netns", "add", name], in: .host)
                    let second = try await rig.status(name)
                    #expect(second.state == "off" && second.rules == [])
                    // An inode's number may be given again; then, too, nothing is on.
                    #expect(try await rig.list().filter { $0.inode == first.inode && $0.state == "on" } == [])
                }
            }
        }
    }
}
