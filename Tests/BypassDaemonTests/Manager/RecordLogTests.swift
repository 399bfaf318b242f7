import BypassAPI
import Linux
import Testing

@testable import Bypass
@testable import BypassDaemon

/// What is read back from the state folder, whatever it holds.
@Suite struct RecordLogTests {
    private static let now: UInt64 = 5_000_000_000

    private static func line(_ members: String, of inode: Int = 7) -> String {
        #"{"inode":\#(inode),"record":{"netns":"web","path":"/run/netns/web","since":"2026-11-24T17:12:13Z"\#(members)}}"#
    }

    private static func contents(_ lines: String...) -> RecordLog.Contents {
        RecordLog.contents(of: Array(lines.joined(separator: "\n").utf8), at: now)
    }

    @Test("A deadline that no ttl gives is not a record, and takes away what an earlier line says")
    func deadlines() {
        let longest = Self.now + UInt64(TimeToLive.maxSeconds) * 1_000_000_000
        for deadline in ["0", "1", "4000000000", "\(longest)"] {
            let contents = Self.contents(Self.line(#","deadline":\#(deadline)"#))
            #expect(contents.records[7]?.deadline.map(String.init) == deadline && contents.damagedLines == 0)
        }
        for deadline in ["8000000000000000000", "\(longest + 1)", "\(Int.max)", "\(UInt64.max)"] {
            let contents = Self.contents(Self.line(""), Self.line("", of: 8), Self.line(#","deadline":\#(deadline)"#))
            #expect(contents.records.keys.sorted() == [8] && contents.damagedLines == 1, "\(deadline)")
        }
    }

    @Test("A record without a scope is for every connection, and one with a scope that cannot be is none")
    func scopes() {
        #expect(Self.contents(Self.line(#","direction":"both""#)).records[7]?.scope == .all)
        #expect(Self.contents(Self.line("")).records[7].map(\.scope) == .some(nil))
        let scoped = Self.contents(Self.line(#","direction":"both","only":{"ports":[80]}"#)).records[7]
        #expect(scoped?.scope == Scope(only: try? ConnectionSet(ports: [PortRange(80)])))
        for only in [#"{"ports":[0]}"#, "{}", #"{"ports":[\#((1...17).map(String.init).joined(separator: ","))]}"#] {
            let contents = Self.contents(Self.line(#","direction":"both","only":\#(only)"#))
            #expect(contents.records.isEmpty && contents.damagedLines == 1)
        }
    }

    @Test("A generation that no daemon counts to says nothing, and those after it can be counted")
    func generations() {
        for generation in ["\(Int.max)", "\(1 << 60)", "-1", "\(Int.min)"] {
            let record = Self.contents(Self.line(#","generation":\#(generation)"#)).records[7]
            #expect(record != nil && record?.generation == nil, "\(generation)")
        }
        let last = 1 << 53
        let known = Self.contents(Self.line(#","generation":\#(last)"#)).records[7]?.generation
        #expect(known == last)
        var generations = Generations(now: 0, known: [last])
        #expect(generations.next(now: 0) == last + 1)
    }

    @Test(
        "What is not a record is left out, and the others stay",
        arguments: [
            #"{"inode":-1,"record":null}"#, #"{"inode":1e300,"record":null}"#, "{", "null", "[]", "\u{0}", "{}",
            #"{"inode":18446744073709551616,"record":null}"#, String(repeating: "[", count: 100_000),
        ])
    func garbage(_ text: String) {
        let contents = Self.contents(Self.line(""), text, Self.line("", of: 8))
        #expect(contents.records.keys.sorted() == [7, 8] && contents.damagedLines == 1)
    }

    @Test(
        "A record with a member that cannot be is none",
        arguments: [
            #","setBy":{"uid":4294967296,"gid":0,"pid":1}"#, #","setBy":{"uid":0,"gid":0,"pid":2147483648}"#,
            #","cookie":-1"#, #","direction":"up""#, #","owner":7"#, #","deadline":1.5"#, #","deadline":-1"#,
        ])
    func wrongMembers(_ members: String) {
        let contents = Self.contents(Self.line(""), Self.line("", of: 8), Self.line(members))
        #expect(contents.records.keys.sorted() == [8] && contents.damagedLines == 1)
    }

    @Test("That a bypass has expired is kept until the namespace's next one")
    func expired() throws {
        let members = #""expired":{"cookie":3,"owner":"me","at":"2026-11-24T17:12:13Z"}"#
        let line = #"{"inode":7,"record":null,\#(members)}"#
        let contents = Self.contents(Self.line(""), line, Self.line("", of: 8))
        #expect(contents.records.keys.sorted() == [8] && contents.expired[7]?.owner == "me")
        let written = RecordLog.Line(inode: 7, expired: contents.expired[7]).text
        #expect(String(decoding: written, as: UTF8.self) == line + "\n")
        #expect(Self.contents(line, Self.line("")).expired[7] == nil)
        // One that is recorded, and has not begun.
        let both = Self.contents(Self.line("").dropLast() + ",\(members)}")
        #expect(both.records.keys.sorted() == [7] && both.expired[7]?.owner == "me")
        #expect(Self.contents(line, #"{"inode":7,"record":null}"#).expired[7] == nil)
        // An earlier version ignores the member, and what is none takes nothing else away.
        let wrong = Self.contents(line.replacing("\"me\"", with: "7"), Self.line("", of: 8))
        #expect(wrong.expired[7] == nil && wrong.damagedLines == 1 && wrong.records.keys.sorted() == [8])
    }

    @Test("Of very many bypasses that have expired the newest are kept")
    func manyExpired() throws {
        let record = try #require(Self.contents(Self.line(#","owner":"me","deadline":1"#)).records[7])
        var expired = ExpiredBypasses()
        for inode in 0...UInt64(ExpiredBypasses.maxCount) {
            var next = ExpiredBypass(record, cookie: nil)
            next?.at = Timestamp(secondsSince1970: Int64(inode))
            expired[inode] = next
        }
        #expect(expired.count == ExpiredBypasses.maxCount && expired[0] == nil && expired[1] != nil)
        for other in ["", #","owner":"me""#, #","owner":"me","deadline":0"#, #","deadline":1"#] {
            let record = try #require(Self.contents(Self.line(other)).records[7])
            #expect(ExpiredBypass(record, cookie: nil) == nil)
        }
    }

    @Test("A record of a later version is a record, without what is not known yet")
    func laterVersion() {
        let contents = Self.contents(Self.line(#","deadline":1,"later":{"x":[1]}"#))
        #expect(contents.records[7]?.deadline == 1 && contents.damagedLines == 0)
    }

    @Test("A record with a condition that only a later version knows is none")
    func laterCondition() {
        let contents = Self.contents(Self.line(""), Self.line(#","needs":["uids"],"uids":[7]"#), Self.line("", of: 8))
        #expect(contents.records.keys.sorted() == [8] && contents.laterRecords == 1 && contents.damagedLines == 0)
        #expect(Self.contents(Self.line(#","needs":[]"#)).records.keys.sorted() == [7])
    }

    @Test("A control group is such a condition, and this version knows it")
    func controlGroup() {
        let line = Self.line(#","direction":"outbound","cgroup":4711,"needs":["cgroup"]"#)
        let contents = Self.contents(line)
        #expect(contents.records[7]?.scope == Scope(cgroup: 4711) && contents.laterRecords == 0)
        let written = RecordLog.Line(inode: 7, record: contents.records[7]).text
        #expect(String(decoding: written, as: UTF8.self).contains(#""cgroup":4711,"needs":["cgroup"]"#))
        #expect(Self.contents(Self.line(#","cgroup":7,"needs":["cgroup","uids"]"#)).laterRecords == 1)
    }

    @Test("A deadline that was read counts as passed if no ttl gives it")
    func checkedDeadlines() {
        for deadline: UInt64 in [8_000_000_000_000_000_000, .max, UInt64(Int.max)] {
            #expect(!MapEntry(deadline: MapEntry.checked(deadline, at: Self.now), hooks: []).isLive(at: Self.now))
        }
        for deadline: UInt64 in [0, 1, Self.now, Self.now + 1] {
            #expect(MapEntry.checked(deadline, at: Self.now) == deadline)
        }
    }
}
