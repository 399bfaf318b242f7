import BypassAPI
import BypassClient
import RootTestSupport
import Testbed
import Testing

/// One of the soak's clients: does at random whatever can be done to its own namespaces, and knows what has to come of it.
actor SoakClient {
    /// What is so of one namespace, as this client has made it.
    struct Known: Sendable {
        var direction: Direction?
        /// When the bypass ends by itself.
        var end: ContinuousClock.Instant?
        var generation: Int?

        /// Whether it may be over, or not be over yet, as clocks go.
        var isAboutToEnd: Bool {
            end.map { ContinuousClock.now > $0 - .milliseconds(100) && ContinuousClock.now < $0 + .seconds(1) } ?? false
        }

        var isOver: Bool { end.map { ContinuousClock.now >= $0 + .seconds(1) } ?? false }
    }

    private let client: BypassClient
    private let testbed: Testbed
    private(set) var namespaces: [String: Known]
    private let names: [String]
    private var random: SplitMix
    private(set) var durations: [String: [Duration]] = [:]

    init(_ client: BypassClient, _ names: [String], _ testbed: Testbed, seed: UInt64) {
        self.client = client
        self.testbed = testbed
        self.names = names
        namespaces = Dictionary(uniqueKeysWithValues: names.map { ($0, Known()) })
        random = SplitMix(seed: seed)
    }

    func run(until end: ContinuousClock.Instant) async throws {
        while ContinuousClock.now < end { try await step(names[random.next(below: names.count)]) }
    }

    private func step(_ name: String) async throws {
        switch random.next(below: 100) {
        case 0..<35: try await turnOn(name)
        case 35..<60: try await turnOff(name)
        case 60..<70: try await extend(name)
        case 70..<92: try await look(name)
        case 92..<95: _ = try await timed("list") { try await client.list() }
        case 95..<97: try await renew(name)
        default: try await refuse(name)
        }
    }

    private func turnOn(_ name: String) async throws {
        let direction = Direction.allCases[random.next(below: 3)]
        let ttl: Int? = [nil, nil, 1, 2, 60][random.next(below: 5)]
        let result = try await timed("on") {
            try await client.bypass(netns: name, state: .on, direction: direction, ttl: ttl, owner: "soak \(name)")
        }
        #expect(result.status.state == .on && result.status.direction == direction && result.status.effective)
        #expect((result.status.expiresAt != nil) == (ttl != nil))
        if result.changed {
            #expect(result.status.generation ?? 0 > namespaces[name]?.generation ?? 0, "\(name)")
        }
        let end = ttl.map { ContinuousClock.now + .seconds($0) }
        namespaces[name] = Known(direction: direction, end: end, generation: result.status.generation)
    }

    private func turnOff(_ name: String) async throws {
        let result = try await timed("off") { try await client.bypass(netns: name, state: .off) }
        #expect(result.status.state == .off && result.status.rules.isEmpty)
        namespaces[name] = Known(generation: result.status.generation)
    }

    private func extend(_ name: String) async throws {
        guard let known = namespaces[name], !known.isAboutToEnd else { return }
        let isOn = known.direction != nil && !known.isOver
        let extended = try await unlessConflict("extend") { try await client.extend(netns: name, ttl: 3) }
        #expect((extended != nil) == isOn, "\(name)")
        guard let extended else { return }
        #expect(extended.status.direction == known.direction)
        if extended.changed { namespaces[name]?.end = ContinuousClock.now + .seconds(3) }
        namespaces[name]?.generation = extended.status.generation
    }

    private func look(_ name: String) async throws {
        guard let known = namespaces[name], !known.isAboutToEnd else { return }
        let status = try await timed("status") { try await client.status(netns: name) }
        guard let after = namespaces[name], !after.isAboutToEnd else { return }
        let isOn = known.direction != nil && !known.isOver
        #expect(status.state == (isOn ? .on : .off), "\(name) is \(status.state)")
        if isOn { #expect(status.direction == known.direction && status.owner == "soak \(name)") }
    }

    /// A namespace goes, and one of the same name comes.
    private func renew(_ name: String) async throws {
        try await testbed.run(["ip", "netns", "delete", name], in: .host)
        let gone = try? await client.status(netns: name)
        #expect(gone == nil, "\(name) is gone, and has a status")
        try await testbed.run(["ip", "netns", "add", name], in: .host)
        let status = try await timed("status") { try await client.status(netns: name) }
        #expect(status.state == .off && status.rules.isEmpty, "a new namespace is not as new: \(status)")
        namespaces[name] = Known()
    }

    private func refuse(_ name: String) async throws {
        let generation = (namespaces[name]?.generation ?? 1) - 1
        let late = try await unlessConflict("off, too late") {
            try await client.bypass(netns: name, state: .off, ifGeneration: generation)
        }
        #expect(late == nil, "\(name) was turned off by a decision that was too late")
    }

    /// nil if it was refused as a conflict.
    private func unlessConflict(
        _ what: String, _ body: () async throws -> BypassMethod.Result
    ) async throws -> BypassMethod.Result? {
        do {
            return try await timed(what, body)
        } catch let error as BypassClientError {
            if case .refused(let refusal) = error, refusal.known == .conflict { return nil }
            throw error
        }
    }

    private func timed<Result>(_ what: String, _ body: () async throws -> Result) async throws -> Result {
        let start = ContinuousClock.now
        let result = try await body()
        durations[what, default: []].append(ContinuousClock.now - start)
        return result
    }

    func close() async { await client.close() }
}
