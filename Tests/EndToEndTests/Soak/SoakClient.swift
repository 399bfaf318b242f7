import BypassAPI
import BypassClient
import MeshSandbox
import TestSupport

/// One of many clients: calls whatever comes to its mind, and holds each answer to what it knows of its namespaces.
actor SoakClient {
    /// What it is given.
    struct Share {
        let number: Int
        /// Only this client decides about these, and deletes them.
        let own: [String]
        /// Everybody decides about these.
        let shared: [String]
        /// Its pod is one more namespace of its own, with a sidecar.
        let sandbox: MeshSandbox?
        /// Whether the pod is bypassed all the time, in both directions.
        let isSteady: Bool
    }

    private let share: Share
    private let host: MeshSandbox
    private let client: BypassClient
    private var random: SplitMix
    private(set) var own: [SoakNamespace]
    private(set) var figures = SoakFigures()
    /// The generation of every decision that has changed something.
    private(set) var decisions: [Int] = []

    init(_ share: Share, _ rig: Rig, seed: UInt64) async throws {
        self.share = share
        host = rig.sandbox
        client = try await .connect(to: rig.socket)
        random = SplitMix(seed: seed &* 1009 &+ UInt64(share.number))
        own = ((share.sandbox.map { [$0.pod] } ?? []) + share.own).map { SoakNamespace($0) }
    }

    func close() async { await client.close() }

    /// What has to be so before there is traffic.
    func begin() async throws {
        if share.isSteady { try await turnOn(0) }
    }

    func work(until deadline: ContinuousClock.Instant) async throws {
        while ContinuousClock.now < deadline {
            try await step()
            try await Task.sleep(for: .milliseconds(random.next(below: 40)))
        }
    }

    private func step() async throws {
        let index = random.next(below: own.count)
        switch random.next(below: 100) {
        case ..<26: try await turnOn(index)
        case ..<44: try await turnOff(index)
        case ..<56: try await extend(index)
        case ..<74: try await status(index)
        case ..<77: try await list()
        case ..<81: try await decideLate(index)
        case ..<91: try await meddle()
        case ..<94: try await deleteOrMake(index)
        default: try await probe()
        }
    }

    // MARK: with a namespace of its own

    private func isSteady(_ index: Int) -> Bool { share.isSteady && index == 0 }

    private func turnOn(_ index: Int) async throws {
        let direction = isSteady(index) ? .both : random.pick(Direction.allCases)
        let ttl = random.pick(isSteady(index) ? [nil, 600] : [nil, nil, 1, 2, 600])
        let wish = SoakNamespace.Bypass(direction: direction, owner: "soak \(share.number)")
        let asked = try await ask(
            BypassMethod.self,
            .init(netns: own[index].name, state: .on, direction: direction, ttl: ttl, owner: wish.owner))
        note(asked)
        try complain(own[index].turnedOn(wish, ttl: ttl, asked), index)
    }

    private func turnOff(_ index: Int) async throws {
        if isSteady(index) { return }
        let asked = try await ask(BypassMethod.self, .init(netns: own[index].name, state: .off))
        note(asked)
        try complain(own[index].turnedOff(asked), index)
    }

    private func extend(_ index: Int) async throws {
        let ttl = random.pick([1, 3, 600])
        let asked = try await ask(ExtendMethod.self, .init(netns: own[index].name, ttl: ttl))
        note(asked)
        try complain(own[index].extended(by: ttl, asked), index)
    }

    private func status(_ index: Int) async throws {
        let asked = try await ask(StatusMethod.self, .init(netns: own[index].name))
        try complain(own[index].reported(asked), index)
    }

    private func list() async throws {
        let asked = try await ask(ListMethod.self, .init())
        let bypasses = try asked.answer.get().bypasses
        for index in own.indices {
            let inode = own[index].bypass?.inode
            if inode == nil && own[index].hadAnother { continue }
            let listed = bypasses.first { inode == $0.inode || inode == nil && $0.netns == own[index].name }
            try complain(own[index].reported(listed, from: asked.from, until: asked.until), index)
        }
    }

    private func decideLate(_ index: Int) async throws {
        guard let bypass = own[index].bypass else { return }
        let asked = try await ask(
            BypassMethod.self, .init(netns: own[index].name, state: .off, ifGeneration: bypass.generation - 1))
        try complain(own[index].wasLate(asked), index)
    }

    /// Those of the sandbox stay.
    private func deleteOrMake(_ index: Int) async throws {
        let name = own[index].name
        guard share.own.contains(name) else { return }
        guard own[index].exists else {
            try await host.run(["ip", "netns", "add", name], in: .host)
            own[index].make()
            return
        }
        if random.next(below: 2) == 0 {
            try await host.run(["ip", "netns", "delete", name], in: .host)
        } else {
            async let deletion = host.run(["ip", "netns", "delete", name], in: .host)
            let asked = try await ask(BypassMethod.self, .init(netns: name, state: .on, owner: "too late"))
            _ = try await deletion
            note(asked)
            // `ip` unmounts the namespace first, and removes the file then: in between that is a plain one.
            if case .failure(let error) = asked.answer, ![.netnsNotFound, .notANetns].contains(error.known) {
                try complain("it went in the middle of a call: \(error)", index)
            }
        }
        own[index].delete()
    }

    /// Looks how connections go.
    private func probe() async throws {
        guard let sandbox = share.sandbox else { return }
        let direction = random.pick(MeshSandbox.Direction.allCases)
        let from = ContinuousClock.now
        let answer = try await sandbox.whoAnswers(direction, random.pick(MeshSandbox.Family.allCases))
        let bypass = own[0].bypass?.direction
        let isMeant = bypass == .both || bypass?.rawValue == direction.rawValue
        let mayBypass = isMeant && own[0].mayBeOn(from: from)
        let mustBypass = isMeant && own[0].mustBeOn(until: .now)
        guard answer == .app && mayBypass || answer == .sidecar && !mustBypass else {
            return try complain("a connection \(direction) was answered by \(answer)", 0)
        }
    }

    // MARK: with those of all

    private func meddle() async throws {
        let name = random.pick(share.shared)
        switch random.next(below: 3) {
        case 0:
            let direction = random.pick(Direction.allCases)
            let ttl = random.pick([nil, 1, 600])
            let wish = BypassMethod.Parameters(netns: name, state: .on, direction: direction, ttl: ttl, owner: "all")
            let asked = try await ask(BypassMethod.self, wish)
            note(asked)
            // No one comes between a call and its answer.
            guard case .success(let result) = asked.answer, result.state == .on, result.direction == direction else {
                throw ContractViolation(description: "\(name), on: \(asked.answer)")
            }
        case 1:
            let asked = try await ask(BypassMethod.self, .init(netns: name, state: .off))
            note(asked)
            guard try asked.answer.get().state == .off else {
                throw ContractViolation(description: "\(name), off: \(asked.answer)")
            }
        default:
            let asked = try await ask(ExtendMethod.self, .init(netns: name, ttl: 2))
            note(asked)
            if case .failure(let error) = asked.answer, error.known != .conflict { throw error }
        }
    }

    // MARK: calls

    private func ask<Method: RPCMethod>(
        _ method: Method.Type, _ parameters: Method.Parameters
    ) async throws(BypassClientError) -> SoakNamespace.Asked<Method.Result> {
        let from = ContinuousClock.now
        let answer: Result<Method.Result, DaemonError>
        do {
            answer = .success(try await client.call(method, with: parameters))
        } catch {
            guard case .refused(let refusal) = error else { throw error }
            answer = .failure(refusal)
        }
        let until = ContinuousClock.now
        figures.add(Method.name, until - from)
        return .init(from: from, until: until, answer: answer)
    }

    private func note(_ asked: SoakNamespace.Asked<BypassMethod.Result>) {
        if case .success(let result) = asked.answer, result.changed { decisions.append(result.generation ?? -1) }
    }

    private func complain(_ complaint: String?, _ index: Int) throws {
        if let complaint {
            throw ContractViolation(description: "client \(share.number), \(own[index].name): \(complaint)")
        }
    }
}
