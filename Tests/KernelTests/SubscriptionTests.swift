import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension KernelTests {
    /// What a subscriber gets about real bypasses.
    @Suite struct SubscriptionTests {
        @Test func everyChangeIsReportedOnceWithTheObjectOfTheContract() async throws {
            try await Rig.with { rig in
                try await rig.on(rig.sandbox.peer, owner: "earlier")
                let subscriber = try await rig.subscribe()
                #expect(subscriber.bypasses?.map(\.netns) == [rig.sandbox.peer])
                #expect(subscriber.bypasses?.map(\.owner) == ["earlier"])

                let on = try await rig.on(owner: "me")
                try await rig.on(owner: "me")  // no change
                let inbound = try await rig.on(direction: "inbound", ttl: 60, owner: "me")
                let extended = try await rig.extend(ttl: 120)
                try await rig.extend(ttl: 1)  // no change
                let off = try await rig.off()
                try await rig.off()  // no change
                let short = try await rig.on(ttl: 1)
                let events = try await (1...6).asyncMap { _ in try await subscriber.next() }
                #expect(events.map(\.name) == ["on", "on", "on", "off", "on", "expired"])
                #expect(events.map(\.sequence) == (1...6).map { subscriber.sequence + $0 })
                let answers = [on, inbound, extended, off, short]
                #expect(events.dropLast().map(\.bypass.generation) == answers.map(\.generation))
                #expect(events.map(\.bypass.state) == ["on", "on", "on", "off", "on", "off"])
                #expect(events[2].bypass.direction == "inbound" && events[2].bypass.expiresAt == extended.expiresAt)
                #expect(events.allSatisfy { $0.bypass.netns == rig.sandbox.pod && $0.bypass.inode == on.inode })
                let generations = events.map(\.bypass.generation)
                #expect(generations == generations.sorted() && Set(generations).count == 6)
                #expect(try await rig.status().generation == generations.last)
            }
        }

        @Test func oneThatComesBackGetsWhatItMissed() async throws {
            try await Rig.with { rig in
                let first = try await rig.subscribe()
                try await rig.on()
                let last = try await first.next()
                try await rig.off()
                try await rig.on(direction: "outbound")
                let second = try await rig.subscribe(after: (first.stream, last.sequence))
                #expect(second.bypasses == nil && second.stream == first.stream && second.sequence == last.sequence)
                try await rig.off()
                let missed = try await (1...3).asyncMap { _ in try await second.next().name }
                #expect(missed == ["off", "on", "off"])
            }
        }

        @Test func whatIsTooLongAgoOrOfAnotherDaemonBeginsWithAllThatIsBypassed() async throws {
            try await Rig.with(["--max-events", "2"]) { rig in
                let first = try await rig.subscribe()
                let on = try await rig.on(owner: "me")
                for direction in ["inbound", "outbound", "both"] { try await rig.on(direction: direction, owner: "me") }
                let late = try await rig.subscribe(after: (first.stream, first.sequence))
                #expect(late.bypasses?.map(\.netns) == [rig.sandbox.pod] && late.sequence == first.sequence + 4)
                let future = try await rig.subscribe(after: (first.stream, 1000))
                #expect(future.bypasses?.count == 1)

                try rig.daemon.kill(9)
                _ = try await rig.daemon.exit()
                try await rig.start()
                let other = try await rig.subscribe(after: (late.stream, late.sequence))
                #expect(other.stream != late.stream)
                #expect(other.bypasses?.map(\.generation) == late.bypasses?.map(\.generation))
                #expect(other.bypasses?.map(\.since) == [on.since])
            }
        }

        @Test func halfAPlaceIsNone() async throws {
            try await Rig.with { rig in
                let halves = [JSONValue.array(["x"]), ["sequence": 1]]
                for half in halves {
                    let refusal = try await rig.refusal("subscribe", half)
                    #expect(refusal == .invalidParams)
                }
            }
        }

        @Test func aNamespaceThatGoesIsReportedWithinSecondsAndNothingIsLeftOfIt() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.withNamespace { name in
                    let on = try await rig.on(name, owner: "me")
                    let subscriber = try await rig.subscribe()
                    try await rig.sandbox.run(["ip", "netns", "delete", name], in: .host)
                    var event: Subscriber.Event?
                    try await eventually("it is reported", within: .seconds(4)) {
                        event = try? await subscriber.next()
                        return event != nil
                    }
                    #expect(event?.name == "gone" && event?.bypass.inode == on.inode)
                    #expect(event?.bypass.state == "off" && event?.bypass.netns == name)
                    #expect(try await rig.entries == 0)
                    #expect(try await rig.call("info").object?["bypassed"] == 0)
                }
            }
        }
    }

    /// A late decision does not undo a newer one.
    @Suite struct GenerationTests {
        @Test func aDecisionOnWhatIsNoLongerSoIsRefusedAndChangesNothing() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let off = try await rig.status()
                let on = try await rig.on(ifGeneration: off.generation)
                #expect(on.state == "on" && on.generation > off.generation)
                let before = try await rig.sandbox.rules

                let old = JSONValue.number(JSONNumber(off.generation))
                let pod = JSONValue.string(rig.sandbox.pod)
                #expect(
                    try await rig.refusal("bypass", ["netns": pod, "state": "off", "ifGeneration": old]) == .conflict)
                #expect(
                    try await rig.refusal(
                        "bypass", ["netns": pod, "state": "on", "direction": "inbound", "ifGeneration": old])
                        == .conflict)
                #expect(try await rig.refusal("extend", ["netns": pod, "ttl": 5, "ifGeneration": old]) == .conflict)
                #expect(try await rig.sandbox.rules == before)
                #expect(try await rig.status().generation == on.generation)

                let again = try await rig.off()
                #expect(again.generation > on.generation)
                let late = JSONValue.number(JSONNumber(on.generation))
                #expect(
                    try await rig.refusal("bypass", ["netns": pod, "state": "on", "ifGeneration": late]) == .conflict)
                #expect(try await rig.sandbox.paths == .sidecar)
            }
        }

        @Test func aGenerationOutlivesTheDaemonAndIsNeverGivenTwice() async throws {
            try await Rig.with { rig in
                let pod = JSONValue.string(rig.sandbox.pod)
                let on = try await rig.on()
                let ended = try await rig.off(rig.sandbox.peer)
                try rig.daemon.kill(9)
                _ = try await rig.daemon.exit()
                try await rig.start()
                #expect(try await rig.on(ifGeneration: on.generation).changed == false)
                // What has ended is not remembered: it is taken to have changed.
                #expect(try await rig.status(rig.sandbox.peer).generation > ended.generation)
                #expect(try await rig.off().generation > on.generation)
                let late = JSONValue.number(JSONNumber(on.generation))
                #expect(
                    try await rig.refusal("bypass", ["netns": pod, "state": "on", "ifGeneration": late]) == .conflict)
            }
        }
    }

    /// `extend`.
    @Suite struct ExtendTests {
        @Test func aBypassGetsMoreTimeAndKeepsEverythingElse() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let end = ContinuousClock.now + .milliseconds(1500)
                let on = try await rig.on(direction: "outbound", ttl: 1, owner: "me", reason: "why")
                let longer = try await rig.extend(ttl: 3600)
                #expect(longer.changed == true && longer.expiresAt ?? "" > on.expiresAt ?? "")
                #expect((longer.direction, longer.owner, longer.reason) == ("outbound", "me", "why"))
                #expect(longer.since == on.since && longer.rules == on.rules)
                let witnesses = try await rig.sandbox.watching([.outbound]) {
                    // The old deadline has to pass for a test that nothing happens then.
                    try await Task.sleep(until: end)
                }
                #expect(witnesses.sawOnlyTheApp, "\(witnesses)")
                let shorter = try await rig.extend(ttl: 60)
                #expect(shorter.changed == false && shorter.expiresAt == longer.expiresAt)
                #expect(shorter.generation == longer.generation)
                try rig.daemon.kill(9)
                _ = try await rig.daemon.exit()
                try await rig.start()
                #expect(try await rig.list().map(\.generation) == [longer.generation])
                #expect(try await rig.list().allSatisfy { $0.expiresAt ?? "" >= longer.expiresAt ?? "?" })
            }
        }

        @Test func oneWithoutAnEndStaysWithoutOne() async throws {
            try await Rig.with { rig in
                try await rig.on()
                let same = try await rig.extend(ttl: 60)
                #expect(same.changed == false && same.expiresAt == nil && same.state == "on")
            }
        }

        @Test func whereNothingIsBypassedThereIsNothingToExtend() async throws {
            try await Rig.with { rig in
                let pod = JSONValue.string(rig.sandbox.pod)
                #expect(try await rig.refusal("extend", [pod, 60]) == .conflict)
                try await rig.on(ttl: 1)
                try rig.daemon.kill(19)  // SIGSTOP
                try await Task.sleep(for: .milliseconds(1100))  // The time that has to be over.
                try rig.daemon.kill(18)  // SIGCONT
                #expect(try await rig.refusal("extend", [pod, 60]) == .conflict)
                #expect(try await rig.refusal("extend", ["nowhere", 60]) == .notFound)
                #expect(try await rig.refusal("extend", [pod, 0]) == .invalidParams)
                #expect(try await rig.refusal("extend", [pod]) == .invalidParams)
            }
        }
    }
}

extension Sequence {
    fileprivate func asyncMap<Result>(_ transform: (Element) async throws -> Result) async rethrows -> [Result] {
        var results: [Result] = []
        for element in self { results.append(try await transform(element)) }
        return results
    }
}
