import Bypass
import BypassAPI
import CBypassABI
import Testing

@testable import Datapath

/// A scope comes back from the matcher's map as it was written.
@Suite struct RawScopeTests {
    private static func entry(_ scope: Scope) -> RawMapEntry {
        RawMapEntry(deadline: 7, hooks: [.output], created: [.mask], program: 9, scope: scope)
    }

    static let full: Scope? = {
        let ports = (1...15).map { try? PortRange($0 * 10, to: $0 * 10 + 5) } + [try? PortRange(65535)]
        let networks =
            ["0.0.0.0/0", "10.1.2.3", "255.255.255.255", "::/0", "fd00::/65", "ffff::1"]
            + (6..<16).map { "fd00:\($0)::/32" }
        let set = try? ConnectionSet(
            ports: ports.compactMap(\.self), networks: networks.compactMap { try? IPNetwork($0) })
        return Scope(only: set, except: set)
    }()

    @Test("Both sets, one of them, or none", arguments: [true, false], [true, false])
    func both(_ hasOnly: Bool, _ hasExcept: Bool) throws {
        let full = try #require(Self.full)
        #expect(full.only?.ports.count == 16 && full.only?.networks.count == 16)
        let scope = Scope(only: hasOnly ? full.only : nil, except: hasExcept ? full.except : nil)
        #expect(RawMapEntry(Self.entry(scope).value) == Self.entry(scope))
    }

    @Test("A control group, with sets and without", arguments: [true, false])
    func controlGroup(_ hasOnly: Bool) throws {
        let scope = Scope(only: hasOnly ? try #require(Self.full).only : nil, cgroup: 4711)
        let entry = RawMapEntry(Self.entry(scope).value)
        #expect(entry == Self.entry(scope) && entry.deadline == 7)
    }

    @Test("A condition that only a later version knows ends the bypass, and does not widen it")
    func laterVersion() throws {
        for scope in [Scope.all, try #require(Self.full)] {
            var value = Self.entry(scope).value
            #expect(RawMapEntry(value).deadline == 7)
            value.scope |= 8
            #expect(RawMapEntry(value).deadline == MapEntry.ofLaterVersion)
            value = Self.entry(scope).value
            value.hooks |= 4
            #expect(RawMapEntry(value).deadline == MapEntry.ofLaterVersion)
        }
    }

    @Test("What no daemon has written is read without harm")
    func damaged() throws {
        var value = Self.entry(try #require(Self.full)).value
        (value.only.port_count, value.only.network_count, value.only.ipv4_count) = (255, 255, 255)
        value.only.lengths.0 = 255
        #expect(RawMapEntry(value).scope.only?.networks.allSatisfy { $0.length <= 32 } == true)
        value.only.ports.0.first = 0
        #expect(RawMapEntry(value).scope.only?.ports.count == 15)
        (value.except.port_count, value.except.network_count) = (0, 0)
        #expect(RawMapEntry(value).scope.except == nil)
    }
}
