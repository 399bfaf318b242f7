import MeshSandbox
import TestSupport
import Testing

extension KernelTests {
    /// The rule sets of real meshes, and probes of every kind: what is asked to be bypassed behaves as without any mesh, all
    /// else as with the mesh, and `effective` says whether that is so.
    @Suite struct MeshRulesTests {
        @Test(arguments: MeshRuleSet.all)
        func aBypassIsExactOrReported(_ rules: MeshRuleSet) async throws {
            try await Rig.with { rig in
                try await ProbedPod.with(rules, rig.sandbox) { pod in
                    let before = try await pod.probe(asMesh: false)
                    try await pod.installRules()
                    let meshed = try await pod.probe()
                    #expect(Self.taken(before, meshed) == rules.takes)
                    for direction in ["both", "inbound", "outbound"] {
                        let on = try await rig.on(pod.netns, direction: direction)
                        let bypassed = try await pod.probe()
                        Self.check(direction, on, before, meshed, bypassed, keeps: rules.keeps)
                    }
                    #expect(try await rig.off(pod.netns).state == "off")
                    #expect(Self.differences(meshed, try await pod.probe(), meshed.keys) == [:], "off")
                    #expect(try await Leftovers.scan(pod.netns) == [])
                }
            }
        }

        /// What a virtual machine or an inner container behind the pod sends is outbound, too. A bypass that does not cover it
        /// says so.
        private static func check(
            _ direction: String, _ on: BypassAnswer, _ before: ProbedPod.Answers, _ meshed: ProbedPod.Answers,
            _ bypassed: ProbedPod.Answers, keeps: Set<String>
        ) {
            let asked = before.keys.filter {
                (direction == "both" || self.direction(of: $0) == direction) && !keeps.contains(withoutFamily($0))
            }
            let missed = differences(before, bypassed, asked)
            let isReported = on.codes.contains("forwarded-traffic") && missed.keys.allSatisfy(isForwarded)
            #expect(on.effective == missed.isEmpty || isReported, "\(direction): \(on.warnings), missed: \(missed)")
            // Not as before and not as with the mesh: that would be broken.
            #expect(differences(meshed, bypassed, missed.keys) == [:], "\(direction)")
            let others = meshed.keys.filter { !asked.contains($0) && self.direction(of: $0) != "either" }
            #expect(differences(meshed, bypassed, others) == [:], "\(direction): not as with the mesh")
        }

        /// Who answers in the mesh's place, by the name without the family: both families are alike.
        private static func taken(_ before: ProbedPod.Answers, _ meshed: ProbedPod.Answers) -> [String: String] {
            var taken: [String: Set<Substring>] = [:]
            for (name, answer) in meshed where before[name] != nil {
                let who = answer == before[name] ? "nobody" : answer.prefix { $0 != " " }
                taken[withoutFamily(name), default: []].insert(who)
            }
            return taken.mapValues { $0.sorted().joined(separator: " and ") }.filter { $0.value != "nobody" }
        }

        /// Where the two are not alike, as text for people.
        private static func differences(
            _ expected: ProbedPod.Answers, _ found: ProbedPod.Answers, _ names: some Sequence<String>
        ) -> [String: String] {
            var differences: [String: String] = [:]
            for name in names where found[name] != expected[name] {
                differences[name] = "\(found[name] ?? "nothing") instead of \(expected[name] ?? "nothing")"
            }
            return differences
        }

        private static func withoutFamily(_ name: String) -> String { String(name.dropLast()) }

        /// Whether it passes through the pod.
        private static func isForwarded(_ name: String) -> Bool { name.contains("vm") }

        /// For what the virtual machine is sent by others the mesh has no word: only both directions surely have it.
        private static func direction(of name: String) -> String {
            if name.hasPrefix("to-") { return "either" }
            return name.hasPrefix("in") ? "inbound" : "outbound"
        }
    }
}
