package import MeshSandbox

/// Who answers connections in each direction and family.
package struct Paths: Hashable, Sendable, CustomStringConvertible {
    private struct Path: Hashable {
        var direction: MeshSandbox.Direction
        var family: MeshSandbox.Family
    }

    private var answers: [Path: MeshSandbox.Answer] = [:]

    /// The same in both families.
    package init(inbound: MeshSandbox.Answer, outbound: MeshSandbox.Answer) {
        for family in MeshSandbox.Family.allCases {
            answers[Path(direction: .inbound, family: family)] = inbound
            answers[Path(direction: .outbound, family: family)] = outbound
        }
    }

    package static let app = Paths(inbound: .app, outbound: .app)
    package static let sidecar = Paths(inbound: .sidecar, outbound: .sidecar)

    /// The paths with a bypass on, in a pod with a sidecar.
    package static func bypassed(_ direction: String) -> Paths {
        Paths(
            inbound: direction == "outbound" ? .sidecar : .app, outbound: direction == "inbound" ? .sidecar : .app)
    }

    /// Opens one connection each.
    package init(of sandbox: MeshSandbox) async throws {
        for direction in MeshSandbox.Direction.allCases {
            for family in MeshSandbox.Family.allCases {
                answers[Path(direction: direction, family: family)] = try await sandbox.whoAnswers(direction, family)
            }
        }
    }

    package var description: String {
        answers.map { "\($0.key.direction) \($0.key.family): \($0.value)" }.sorted().joined(separator: ", ")
    }
}

extension MeshSandbox {
    /// Who answers now.
    package var paths: Paths { get async throws { try await Paths(of: self) } }

    /// Probes for as long as `body` runs, and for some connections before and after, so that connections are surely made
    /// while something changes.
    package func watching(
        _ directions: [Direction] = Direction.allCases, and more: [Probe] = [], _ body: () async throws -> Void
    ) async throws -> ProbeResults {
        var probes = more.map { start($0) }
        for direction in directions {
            for family in Family.allCases { probes.append(try startProbe(direction, family)) }
        }
        var tallies: [Tally] = []
        try await scoped {
            try await moreConnections(of: probes)
            try await body()
            try await moreConnections(of: probes)
        } cleanUp: {
            for probe in probes { tallies.append(try await probe.stop()) }
        }
        return ProbeResults(tallies)
    }

    private func moreConnections(of probes: [ContinuousProbe]) async throws {
        let before = probes.map(\.tally.total)
        try await eventually("ten more connections of every probe") {
            zip(probes, before).allSatisfy { $0.tally.total >= $1 + 10 }
        }
    }
}

/// Who answered during `watching`.
package struct ProbeResults: Sendable, CustomStringConvertible {
    private let tallies: [MeshSandbox.Tally]

    init(_ tallies: [MeshSandbox.Tally]) {
        self.tallies = tallies
    }

    /// Whether every connection was answered by the app.
    package var sawOnlyTheApp: Bool { tallies.allSatisfy { $0.app == $0.total } }

    /// Whether every connection was answered by the sidecar.
    package var sawOnlyTheSidecar: Bool { tallies.allSatisfy { $0.sidecar == $0.total } }

    package var description: String { tallies.map(\.description).joined(separator: " / ") }
}
