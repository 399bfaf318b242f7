import JSONRPC
import NIOCore
import NIOEmbedded
import StrictJSON
import Testing

@testable import BypassAPI
@testable import BypassDaemon

@Suite struct RequestBudgetTests {
    private let start = NIODeadline.uptimeNanoseconds(5_000_000_000)

    /// How many of a thousand requests are let through.
    private func taken(_ budget: inout RequestBudget, _ user: UInt32, at now: NIODeadline) -> Int {
        (0..<1000).count { _ in budget.take(user, at: now) }
    }

    @Test("A second's worth may come at once, and then what the rate gives")
    func rate() {
        var budget = RequestBudget(perSecond: 10)
        #expect(taken(&budget, 1, at: start) == 10)
        #expect(taken(&budget, 1, at: start + .milliseconds(99)) == 0)
        #expect(taken(&budget, 1, at: start + .milliseconds(100)) == 1)
        #expect(taken(&budget, 1, at: start + .milliseconds(450)) == 3)
        #expect(taken(&budget, 1, at: start + .hours(1)) == 10, "a bucket does not run over")
    }

    @Test("One user's requests are not another's")
    func users() {
        var budget = RequestBudget(perSecond: 10)
        #expect(taken(&budget, 1, at: start) == 10)
        #expect(taken(&budget, 2, at: start) == 10)
        #expect(taken(&budget, 1, at: start) == 0)
    }

    @Test("Any rate that can be set is kept", arguments: [1, 3, 999, 1_000_000_000])
    func rates(_ rate: Int) {
        var budget = RequestBudget(perSecond: rate)
        #expect(taken(&budget, 1, at: start) == min(rate, 1000))
    }

    @Test("Users who have gone are not remembered")
    func bounded() {
        var budget = RequestBudget(perSecond: 10)
        var most = 0
        for user in 0..<10_000 {
            _ = budget.take(UInt32(user), at: start + .milliseconds(Int64(user)))
            most = max(most, budget.count)
        }
        #expect(most <= 2000)
        _ = budget.take(1, at: start + .hours(1))
        #expect(budget.count == 1)
    }
}

@Suite struct RequestRateTests {
    private static var limits: Limits {
        var limits = Limits()
        limits.requestsPerSecond = 3
        return limits
    }

    @Test("Past the rate a request is refused with its id, and the connection goes on")
    func refused() throws {
        let client = try TestClient(limits: Self.limits, user: 7)
        try client.send((1...4).map { call("echo", id: $0) }.joined() + "nonsense\n")
        let lines = client.lines()
        #expect(lines.count == 5)
        #expect(lines.prefix(3).allSatisfy { $0.contains("\"result\"") })
        #expect(try limit(in: lines[3], id: RequestID(4)) == "requests-per-second")
        #expect(try limit(in: lines[4]) == "requests-per-second", "what is no request costs as much")
        client.loop.advanceTime(by: .seconds(1))
        try client.send(call("echo", id: 5))
        #expect(try client.ids() == [5])
    }

    @Test("A notification past the rate is not carried out")
    func notification() throws {
        let client = try TestClient(limits: Self.limits, user: 7)
        try client.send((1...3).map { call("echo", id: $0) }.joined() + call("slow", id: nil))
        #expect(try client.ids() == [1, 2, 3])
        #expect(client.slow.texts == [])
    }

    @Test("The entries of a batch count each")
    func batch() throws {
        let client = try TestClient(limits: Self.limits, user: 7)
        let entries = (1...5).map { call("echo", id: $0).dropLast() }
        try client.send("[" + entries.joined(separator: ",") + "]\n")
        let answers = try JSONReader.read(client.lines().joined()).array ?? []
        #expect(answers.map { $0.object?["id"] } == (1...5).map { .number(JSONNumber($0)) })
        #expect(answers.map { $0.object?["error"]?.object?["code"] } == [nil, nil, nil, -32007, -32007])
    }

    @Test("A user's connections share one rate, and other users have their own")
    func shared() throws {
        let house = TestHouse(Self.limits)
        let clients = try [7, 7, 8].map { try TestClient(user: $0, house: house) }
        for client in clients { try client.send(call("echo", id: 1) + call("echo", id: 2)) }
        let refused = clients.map { $0.lines().map { $0.contains("requests-per-second") } }
        #expect(refused == [[false, false], [false, true], [false, false]])
        #expect(house.log.lines == ["request refused limit=requests-per-second uid=7"])
    }

    @Test("Root may ask as much as it likes")
    func root() throws {
        let client = try TestClient(limits: Self.limits)
        try client.send((1...50).map { call("echo", id: $0) }.joined())
        #expect(client.lines().allSatisfy { $0.contains("\"result\"") })
    }
}
