import BypassAPI
import Linux
import StrictJSON
import Testing

@testable import BypassDaemon

/// Answers about all bypasses.
@Suite struct StatusListTests {
    /// As many as the matcher's map holds.
    private static let count = 16384
    private static let bound = 32 << 20

    private func status(_ inode: Int, text: String, messages: [String]) -> BypassStatus {
        var status = BypassStatus(netns: "pod-\(inode)", inode: UInt64(inode), state: .on, effective: false)
        (status.owner, status.reason) = (text, text)
        status.since = Timestamp(secondsSince1970: 0)
        status.setBy = .init(uid: .max, gid: .max, pid: .max)
        status.rules = (0..<6).map {
            .init(
                family: "inet", table: "kmesh_bypass", chain: "prerouting", handle: UInt64($0), packets: .max,
                bytes: .max)
        }
        status.warnings = messages.map { .init(code: "established-connections", message: $0) }
        return status
    }

    private func hostile(_ inode: Int) -> BypassStatus {
        status(
            inode, text: String(repeating: "\u{1}", count: 256),
            messages: Array(repeating: String(repeating: "\\u{1}", count: 25), count: 8))
    }

    private func check(_ name: String, _ writeMembers: (inout JSONText) -> Void) throws -> JSONObject {
        let bytes = try #require(EncodedResult(writeMembers).written)
        print("\(name): \(bytes.count >> 20) MiB for \(Self.count) bypasses with hostile texts")
        #expect(bytes.count <= Self.bound)
        return try #require(try JSONReader.read(bytes.span).object)
    }

    private func inodes(of answer: JSONObject) -> [Int] {
        (answer["bypasses"]?.array ?? []).compactMap { status in
            guard case .number(let inode)? = status.object?["inode"] else { return nil }
            return Int(exactly: inode)
        }
    }

    @Test func `With hostile texts it is bounded, and says how many bypasses are not shown`() throws {
        let list = StatusList((0..<Self.count).lazy.map { hostile($0).brief })
        let answer = try check("list") { ListMethod.Result.writeMembers(list, list.warnings, to: &$0) }
        let shown = answer["bypasses"]?.array?.count ?? 0
        #expect(shown > 1000)
        let warning = answer["warnings"]?.array?.first?.object
        #expect(warning?["code"]?.string == "truncated")
        #expect(warning?["message"]?.string?.hasPrefix("\(Self.count - shown) more bypasses") == true)
    }

    @Test func `So is what a subscriber gets, and what is kept for it`() throws {
        let log = EventLog(capacity: 1024)
        for inode in 0..<Self.count { log.recover(hostile(inode)) }
        let list = StatusList(log.snapshot.bypasses)
        let answer = try check("subscribe") {
            SubscribeMethod.Result.writeMembers("k3", 0, list, list.warnings, to: &$0)
        }
        let shown = inodes(of: answer)
        #expect(shown.count > 1000 && shown == shown.sorted())
        #expect(list.warnings.map(\.code) == ["truncated"])
        let kept = (0..<Self.count).reduce(0) { sum, inode in
            sum + (log[UInt64(inode)]?.warnings.reduce(0) { $0 + $1.message.utf8.count } ?? 0)
        }
        #expect(kept <= (4 << 20) + Self.count * 64, "\(kept) bytes of warnings")
        for inode in 0..<Self.count { log.publish(.off, hostile(inode)) }
        #expect(log.snapshot.bypasses.isEmpty)
        log.recover(hostile(1))
        #expect(log[1]?.warnings.first?.code == "established-connections")
    }

    @Test func `Made of parts it is the same`() throws {
        let statuses = (0..<Self.count).reversed().map { hostile($0).brief }
        let whole = StatusList(statuses)
        var (list, part) = (StatusList(), StatusList())
        for (index, status) in statuses.enumerated() {
            if list.isFull { part.omit() } else { part.add(status) }
            guard index % 1000 == 0 else { continue }
            part.move(to: &list)
            #expect(part.byteCount == 0 && !part.isFull)
        }
        part.move(to: &list)
        #expect(JSONText.bytes(of: list) == JSONText.bytes(of: whole))
        #expect(list.warnings == whole.warnings && list.warnings.count == 1)
    }

    @Test func `As many bypasses with ordinary texts are all shown, by inode`() throws {
        let list = StatusList(
            (0..<Self.count).reversed().lazy.map {
                status($0, text: "kubernetes:default/web-0", messages: ["one"]).brief
            })
        let answer = try check("list") { ListMethod.Result.writeMembers(list, list.warnings, to: &$0) }
        #expect(inodes(of: answer) == Array(0..<Self.count) && list.warnings.isEmpty)
    }
}
