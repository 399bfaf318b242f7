import BypassAPI
import JSONRPC
import StrictJSON
import Testing

/// A value that writes itself is the same, byte for byte, as one that the compiler makes the encoding of.
@Suite struct WritingTests {
    /// The members of a status, encoded by synthesized code.
    private struct Reference: Codable {
        struct Peer: Codable {
            var uid: UInt32
            var gid: UInt32
            var pid: Int32
        }
        struct Rule: Codable {
            var family: String
            var table: String
            var chain: String
            var handle: UInt64
            var packets: UInt64
            var bytes: UInt64
        }
        struct Warning: Codable {
            var code: String
            var message: String
        }
        var netns: String
        var inode: UInt64
        var state: BypassStatus.State
        var effective: Bool
        var effect: String?
        var redirected: Bool?
        var direction: Direction?
        var only: ConnectionSet?
        var except: ConnectionSet?
        var cgroup: UInt64?
        var since: Timestamp?
        var expiresAt: Timestamp?
        var owner: String?
        var reason: String?
        var setBy: Peer?
        var generation: Int?
        var expired: BypassStatus.Expired?
        var rules: [Rule]
        var warnings: [Warning]

        init(_ status: BypassStatus) {
            netns = status.netns
            inode = status.inode
            state = status.state
            effective = status.effective
            effect = status.effect?.rawValue
            redirected = status.redirected
            direction = status.direction
            only = status.only
            except = status.except
            cgroup = status.cgroup
            since = status.since
            expiresAt = status.expiresAt
            owner = status.owner
            reason = status.reason
            setBy = status.setBy.map { Peer(uid: $0.uid, gid: $0.gid, pid: $0.pid) }
            generation = status.generation
            expired = status.expired
            rules = status.rules.map {
                Rule(
                    family: $0.family, table: $0.table, chain: $0.chain, handle: $0.handle, packets: $0.packets,
                    bytes: $0.bytes)
            }
            warnings = status.warnings.map { Warning(code: $0.code, message: $0.message) }
        }
    }

    private struct Event: Codable {
        struct Cause: Codable {
            var by: Reference.Peer?
            var owner: String?
            var reason: String?
        }
        var sequence: Int
        var bypass: Reference
        var cause: Cause?
        var damage: [String]?
        var removed: [String]?
    }

    @Test("Random statuses and all that holds them")
    func statuses() throws {
        var random = SplitMix(seed: 7)
        for _ in 0..<2000 {
            let status = BypassStatus.random(&random)
            let reference = try JSONEncoding.text(of: Reference(status))
            #expect(text(status) == reference)
            #expect(try JSONEncoding.text(of: status) == reference)
            #expect(try JSONDecoding.decode(BypassStatus.self, from: JSONReader.read(reference)) == status)
            let result = BypassMethod.Result(
                status: status, changed: .random(using: &random), ended: .random(in: 0...9, using: &random))
            let members = "\"changed\":\(result.changed),\"ended\":\(result.ended),\"removed\":[]"
            #expect(text(result) == "{\(members),\(reference.dropFirst())")
            let back = try JSONDecoding.decode(
                BypassMethod.Result.self, from: JSONReader.read(text(result)), unknownMembers: .ignore)
            #expect(back == result)
            var event = BypassEvent(sequence: .random(in: .min ... .max, using: &random), bypass: status)
            var other = Event(sequence: event.sequence, bypass: Reference(status))
            #expect(try text(event) == JSONEncoding.text(of: other))
            (event.cause, event.damage) = (.init(by: status.setBy, owner: status.owner), status.warnings.map(\.code))
            (other.cause, other.damage) = (.init(by: other.bypass.setBy, owner: status.owner), event.damage)
            event.removed = event.damage?.reversed()
            other.removed = event.removed
            #expect(try text(event) == JSONEncoding.text(of: other))
            let list = ListMethod.Result(bypasses: [status, status])
            #expect(text(list) == "{\"bypasses\":[\(reference),\(reference)],\"warnings\":[]}")
        }
    }

    @Test("The bypass that has expired, of a namespace that is off")
    func expired() throws {
        var status = BypassStatus(netns: "web", inode: 7, state: .off, effective: false)
        #expect(text(status).contains(#""expired":null,"#))
        status.expired = .init(at: Timestamp(secondsSince1970: 60), owner: "alice")
        #expect(text(status).contains(#""expired":{"at":"1970-01-01T00:01:00Z","owner":"alice"},"#))
        #expect(try JSONDecoding.decode(BypassStatus.self, from: JSONReader.read(text(status))) == status)
    }

    @Test("Every result of the method table comes back as it was")
    func results() throws {
        for call in Sample.calls where call.method != DiscoverMethod.self {
            for result in call.results { try comesBack(result) }
        }
    }

    private func comesBack(_ result: some Codable & JSONWritable) throws {
        let written = text(result)
        #expect(try JSONEncoding.text(of: result) == written)
        let back = try JSONDecoding.decode(
            type(of: result), from: JSONReader.read(written), unknownMembers: .ignore)
        #expect(text(back) == written)
    }

    private func text(_ value: some JSONWritable) -> String {
        String(decoding: JSONText.bytes(of: value), as: UTF8.self)
    }
}

/// Numbers that are the same in each run.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

extension BypassStatus {
    fileprivate static func random(_ random: inout SplitMix) -> BypassStatus {
        func text(_ random: inout SplitMix) -> String {
            let alphabet = Array("aZ0/\"\\\n\u{1}\u{7F}\u{9B}é\u{2028}𝄞")
            let length = Int.random(in: 0...24, using: &random)
            return String((0..<length).map { _ in alphabet.randomElement(using: &random) ?? "a" })
        }
        func maybe<Value>(_ random: inout SplitMix, _ value: (inout SplitMix) -> Value) -> Value? {
            Bool.random(using: &random) ? value(&random) : nil
        }
        func number<Number: FixedWidthInteger>(_ random: inout SplitMix) -> Number {
            let digits = Int.random(in: 0..<Number.bitWidth, using: &random)
            return Number.random(in: .min ... .max, using: &random) >> digits
        }
        func moment(_ random: inout SplitMix) -> Timestamp {
            Timestamp(secondsSince1970: .random(in: -62_135_596_800...253_402_300_799, using: &random))
        }
        func set(_ random: inout SplitMix) -> ConnectionSet? {
            let port = Int.random(in: 1...65535, using: &random)
            return try? ConnectionSet(ports: [PortRange(port)], networks: [IPNetwork("10.0.0.0/8")])
        }
        return BypassStatus(
            netns: text(&random), inode: number(&random), state: State.allCases.randomElement(using: &random) ?? .on,
            effective: .random(using: &random),
            effect: BypassStatus.Effect.allCases.randomElement(using: &random),
            redirected: maybe(&random) { .random(using: &$0) },
            direction: Direction.allCases.randomElement(using: &random),
            only: maybe(&random, set) ?? nil, except: maybe(&random, set) ?? nil,
            cgroup: maybe(&random, number), since: maybe(&random, moment), expiresAt: maybe(&random, moment),
            owner: maybe(&random, text),
            reason: maybe(&random, text),
            setBy: maybe(&random) { .init(uid: number(&$0), gid: number(&$0), pid: number(&$0)) },
            generation: maybe(&random, number),
            rules: (0..<Int.random(in: 0...3, using: &random)).map { _ in
                .init(
                    family: text(&random), table: text(&random), chain: text(&random), handle: number(&random),
                    packets: number(&random), bytes: number(&random))
            },
            warnings: (0..<Int.random(in: 0...2, using: &random)).map { _ in
                .init(code: text(&random), message: text(&random))
            })
    }
}
