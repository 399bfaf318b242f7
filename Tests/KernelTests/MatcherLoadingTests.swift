import Bypass
import Linux
import MeshSandbox
import TestSupport
import Testing

@testable import Datapath

extension KernelTests {
    /// The matcher is loaded before the daemon knows that no other one uses the pins.
    @Suite struct MatcherLoadingTests {
        private static let inode: UInt64 = 4711

        private static func withFolder(_ body: (String) async throws -> Void) async throws {
            try await Rig.withoutDaemon { rig in
                let folder = rig.options.bpffs + "/loading"
                try Files.makeFolder(folder)
                try await body(folder)
            }
        }

        private static func pins(_ folder: String) throws -> Int { try Files.entries(in: folder).count }

        @Test func nothingIsPinnedBefore() async throws {
            try await Self.withFolder { folder in
                let loader = try MatcherLoader(for: folder)
                _ = try LoadedMatcher.load(for: folder)
                #expect(try Self.pins(folder) == 0)
                #expect(try loader.pin().isMapNew)
                #expect(try Self.pins(folder) == 2)
            }
        }

        @Test func whatAnotherDaemonPinsMeanwhileIsTakenOver() async throws {
            try await Self.withFolder { folder in
                let loaded = try LoadedMatcher.load(for: folder)
                try Matcher.load(into: folder).set(MapEntry(deadline: 0, hooks: []), of: Self.inode)
                let matcher = try Matcher.pin(loaded, into: folder)
                #expect(!matcher.isMapNew)
                #expect(try matcher.inodes() == [Self.inode])
                #expect(try Matcher.attached(to: folder)?.inodes() == [Self.inode])
            }
        }

        @Test func whatIsTakenAwayMeanwhileIsMadeAgain() async throws {
            try await Self.withFolder { folder in
                let earlier = try Matcher.load(into: folder)
                try earlier.set(MapEntry(deadline: 0, hooks: []), of: Self.inode)
                let loaded = try LoadedMatcher.load(for: folder)
                for pin in try Files.entries(in: folder) { try Files.remove(folder + "/" + pin.name) }
                let matcher = try Matcher.pin(loaded, into: folder)
                #expect(matcher.isMapNew)
                #expect(try matcher.inodes() == [])
                #expect(try Self.pins(folder) == 2)
            }
        }
    }
}
