import ArgumentParser
import BypassAPI
import Testing

@testable import kmesh_bypassctl

@Suite struct CommandTests {
    @Test(arguments: [
        ("1", 1), ("90", 90), ("90s", 90), ("15m", 900), ("2h", 7200), ("007", 7),
        ("9223372036854775807", Int.max), ("2562047788015215h", 2_562_047_788_015_215 * 3600),
    ])
    func `A time is seconds, or a number with its unit`(text: String, seconds: Int) throws {
        #expect(try TimeToLive.parse(text).seconds == seconds)
    }

    @Test(arguments: [
        "", "s", "m", "0", "0h", "-1", "+1", "-5m", "1.5h", "1 m", " 1", "1d", "15M", "1h30m", "٣", "0x10",
        "9223372036854775808", "2562047788015216h", "99999999999999999999999999m",
    ])
    func `What is no time, or too long a one, is refused`(text: String) {
        #expect(throws: ValidationError.self) { try TimeToLive.parse(text) }
    }

    @Test func `on takes all options`() throws {
        let on = try parse(
            On.self, "on", "web", "--direction", "inbound", "--for", "15m", "--owner", "me", "--reason", "why")
        #expect(
            on.parameters
                == .init(netns: "web", state: .on, direction: .inbound, ttl: 900, owner: "me", reason: "why"))
        #expect(try parse(On.self, "on", "pid:1").parameters == .init(netns: "pid:1", state: .on, direction: .both))
    }

    @Test func `off takes neither direction nor time`() throws {
        let off = try parse(Off.self, "off", "web", "--owner", "me", "--reason", "why")
        #expect(off.parameters == .init(netns: "web", state: .off, owner: "me", reason: "why"))
        #expect(throws: (any Error).self) { try parse(Off.self, "off", "web", "--direction", "both") }
        #expect(throws: (any Error).self) { try parse(Off.self, "off", "web", "--for", "1m") }
    }

    @Test(arguments: [
        ["on"], ["off"], ["status"], ["on", "web", "--direction", "up"], ["on", "web", "--for", "0"], ["list", "web"],
        ["nonsense"],
    ])
    func `A wrong command line has the exit code that sysexits gives it`(arguments: [String]) throws {
        let error = try #require(throws: (any Error).self) { try Bypassctl.parseAsRoot(arguments) }
        #expect(Bypassctl.exitCode(for: error).rawValue == 64)
    }

    @Test func `Every subcommand takes the socket and asks for JSON`() throws {
        for arguments in [["on", "web"], ["off", "web"], ["status", "web"], ["list"], ["info"]] {
            let command = try Bypassctl.parseAsRoot(arguments + ["--socket", "s", "--json"])
            let common = try #require(command as? any DaemonCommand).common
            #expect(common.path == "s")
            #expect(common.json)
        }
    }

    private func parse<Command: ParsableCommand>(_: Command.Type, _ arguments: String...) throws -> Command {
        try #require(try Bypassctl.parseAsRoot(arguments) as? Command)
    }
}
