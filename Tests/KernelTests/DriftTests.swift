import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension KernelTests {
    /// Another program changes the rules of a bypassed namespace, and no client calls the daemon.
    @Suite struct DriftTests {
        enum Damage: String, CaseIterable {
            case flushedNat, ruleAbove, guardGone, ruleGone, everythingFlushed, entryGone

            func bring(to rig: Rig) async throws {
                let sandbox = rig.sandbox
                switch self {
                case .flushedNat: try await sandbox.install(.iptables, flushing: true)
                case .ruleAbove: try await sandbox.iptables("-I OUTPUT -p tcp -j REDIRECT --to-ports 15001")
                case .guardGone: try await sandbox.run(["nft", "delete", "table", "inet", "kmesh_bypass"], in: .pod)
                case .ruleGone: try await sandbox.iptables("-D OUTPUT 1", tool: "ip6tables")
                case .everythingFlushed: try await sandbox.run(["nft", "flush", "ruleset"], in: .pod)
                case .entryGone: try await rig.removeEntry()
                }
            }

            /// Whether the bypass holds all the time. Without its entry it is off, until it is repaired.
            var leavesTraffic: Bool { self != .entryGone }
        }

        @Test(arguments: Damage.allCases)
        func itIsNoticedAndRepairedWithinSeconds(_ damage: Damage) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let on = try await rig.on(owner: "alice")
                let subscriber = try await rig.subscribe()
                let witnesses = try await rig.sandbox.watching {
                    try await damage.bring(to: rig)
                    try await eventually("it is repaired", within: .seconds(5)) {
                        // The state alone can be "on" before anything was noticed.
                        guard try rig.daemon.standardError.contains("bypass repaired") else { return false }
                        return try await rig.status().state == "on"
                    }
                }
                if damage.leavesTraffic { #expect(witnesses.sawOnlyTheApp, "\(witnesses)") }
                #expect(try await rig.sandbox.paths == .app)
                let event = try await subscriber.next()
                #expect(event.name == "repaired" && event.sequence == subscriber.sequence + 1)
                #expect(event.bypass.state == "on" && event.bypass.effective && event.bypass.owner == "alice")
                // To put right what another program has changed is not a decision.
                #expect(event.bypass.generation == on.generation)
                #expect(try await rig.on(owner: "alice").changed == false)
                try await rig.off()
                #expect(try await Leftovers.scan(rig.sandbox.pod) == [])
            }
        }

        @Test func aProgramThatFightsIsGivenTimeAndEverybodyHearsOfIt() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let subscriber = try await rig.subscribe()
                try await rig.on()
                #expect(try await subscriber.next().name == "on")
                let fighter = Task {
                    while !Task.isCancelled {
                        _ = try? await rig.sandbox.iptables("-D OUTPUT -m bpf --object-pinned \(rig.pin) -j RETURN")
                    }
                }
                var names: [String] = []
                var last: Subscriber.Event?
                try await eventually("it is said that it is contested", within: .seconds(15)) {
                    let event = try? await subscriber.next()
                    names += [event?.name].compactMap(\.self)
                    last = event ?? last
                    return event?.bypass.codes.contains("contested") == true
                }
                let contested = try await rig.status()
                fighter.cancel()
                _ = await fighter.value
                #expect(names.first == "repaired" && names.last == "degraded", "\(names)")
                #expect(last?.bypass.state == "degraded")
                #expect(contested.state == "degraded" && contested.effective)
                #expect(try await rig.sandbox.paths == .app)
                let counted = try await rig.status().packets["PREROUTING", default: 0]
                #expect(counted > 0)
                // A person does not have to wait for that. The rules that were left in place have counted since.
                let on = try await rig.on()
                #expect(on.state == "on" && on.changed == true)
                #expect(on.packets["PREROUTING", default: 0] >= counted, "\(on.packets)")
                #expect(try await subscriber.next().name == "on")
            }
        }

        @Test func anExpiredBypassIsNotRepaired() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let before = try await rig.sandbox.rules
                let subscriber = try await rig.subscribe()
                try await rig.on(ttl: 1)
                try await rig.sandbox.run(["nft", "delete", "table", "inet", "kmesh_bypass"], in: .pod)
                var names: [String] = []
                while names.last != "expired" { names.append(try await subscriber.next().name) }
                #expect(names.filter { $0 != "repaired" } == ["on", "expired"])
                #expect(try await rig.sandbox.rules == before)
            }
        }

        @Test func aFileSystemThatIsUnmountedIsComplainedAboutAndTheirPinsComeBackWithIt() async throws {
            try await Rig.with { rig in
                let sandbox = rig.sandbox
                try await sandbox.install(.iptables)
                try await rig.on()
                let folder = rig.options.bpffs
                try await sandbox.run(["umount", "--lazy", folder], in: .host)
                try await eventually("the daemon complains") {
                    try rig.daemon.standardError.contains("no longer on a BPF file system")
                }
                // What is on stays on, and what cannot be done is said.
                #expect(try await rig.status().state == "on")
                #expect(try await sandbox.paths == .app)
                let message = try await rig.message("bypass", [.string(sandbox.peer), "on"])
                #expect(message?.contains("no longer on a BPF file system") == true, "\(message ?? "it went well")")
                #expect(try await rig.refusal("status", [.string(sandbox.peer)]) == nil)
                #expect(try await Leftovers.scan(sandbox.peer) == [])

                try await sandbox.run(["mount", "-t", "bpf", "-o", "mode=0700", "bpf", folder], in: .host)
                try await eventually("the pins are back") {
                    try await sandbox.result(of: ["test", "-e", rig.pin, "-a", "-e", rig.mapPin]).code == 0
                }
                try await sandbox.iptables("-C OUTPUT -m bpf --object-pinned \(rig.pin) -j RETURN")
                #expect(try await rig.on(sandbox.peer).state == "on")
                try await rig.off()
                #expect(try await sandbox.paths == .sidecar)
            }
        }

        @Test func aPinThatWasRemovedComesBackByItself() async throws {
            try await Rig.with { rig in
                try await rig.on()
                try await rig.sandbox.run(["rm", rig.pin, rig.mapPin], in: .host)
                try await eventually("the pins are back", within: .seconds(5)) {
                    try await rig.sandbox.result(of: ["test", "-e", rig.pin, "-a", "-e", rig.mapPin]).code == 0
                }
                try await rig.sandbox.iptables("-C OUTPUT -m bpf --object-pinned \(rig.pin) -j RETURN")
                try await rig.off()
                #expect(try await Leftovers.scan(rig.sandbox.pod) == [])
            }
        }
    }
}
