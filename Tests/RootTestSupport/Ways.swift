public import Testbed

/// Who answers connections in each direction and family.
public struct Ways: Hashable, Sendable, CustomStringConvertible {
    private struct Way: Hashable {
        var direction: Testbed.Direction
        var family: Testbed.Family
    }

    private var answers: [Way: Testbed.Answer] = [:]

    /// The same in both families.
    public init(inbound: Testbed.Answer, outbound: Testbed.Answer) {
        for family in Testbed.Family.allCases {
            answers[Way(direction: .inbound, family: family)] = inbound
            answers[Way(direction: .outbound, family: family)] = outbound
        }
    }

    public static let app = Ways(inbound: .app, outbound: .app)
    public static let sidecar = Ways(inbound: .sidecar, outbound: .sidecar)

    /// What a bypass makes of ways that all lead through a sidecar.
    public static func bypassed(_ direction: String) -> Ways {
        Ways(
            inbound: direction == "outbound" ? .sidecar : .app, outbound: direction == "inbound" ? .sidecar : .app)
    }

    /// Opens one connection each.
    public init(of testbed: Testbed) async throws {
        for direction in Testbed.Direction.allCases {
            for family in Testbed.Family.allCases {
                answers[Way(direction: direction, family: family)] = try await testbed.whoAnswers(direction, family)
            }
        }
    }

    public var description: String {
        answers.map { "\($0.key.direction) \($0.key.family): \($0.value)" }.sorted().joined(separator: ", ")
    }
}

extension Testbed {
    /// Who answers now.
    public var ways: Ways { get async throws { try await Ways(of: self) } }

    /// Probes for as long as `body` runs, and for some connections before and after: that one is made while something
    /// changes is not left to chance.
    public func watching(
        _ directions: [Direction] = Direction.allCases, _ body: () async throws -> Void
    ) async throws -> Witnesses {
        var probers: [Prober] = []
        for direction in directions {
            for family in Family.allCases { probers.append(try startProber(direction, family)) }
        }
        var tallies: [Tally] = []
        try await scoped {
            try await moreConnections(of: probers)
            try await body()
            try await moreConnections(of: probers)
        } cleanUp: {
            for prober in probers { tallies.append(try await prober.stop()) }
        }
        return Witnesses(tallies)
    }

    private func moreConnections(of probers: [Prober]) async throws {
        let before = probers.map(\.tally.total)
        try await eventually("ten more connections of every prober") {
            zip(probers, before).allSatisfy { $0.tally.total >= $1 + 10 }
        }
    }
}

/// Who answered while something was going on.
public struct Witnesses: Sendable, CustomStringConvertible {
    private let tallies: [Testbed.Tally]

    init(_ tallies: [Testbed.Tally]) {
        self.tallies = tallies
    }

    /// Whether every connection was answered by the app.
    public var sawOnlyTheApp: Bool { tallies.allSatisfy { $0.app == $0.total } }

    public var description: String { tallies.map(\.description).joined(separator: " / ") }
}
