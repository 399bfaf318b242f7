import ArgumentParser
import BypassAPI
import Testing

@testable import kmesh_bypassctl

@Suite struct CommandTests {
    @Test func `A malformed time is reported as a command line error`() throws {
        #expect(try TimeToLive.parse("15m").seconds == 900)
        let error = try #require(throws: ValidationError.self) { try TimeToLive.parse("1d") }
        #expect(error.message.contains("15m"))
    }

    @Test func `on takes all options`() throws {
        let on = try parse(
            On.self, "on", "web", "--direction", "inbound", "--for", "15m", "--owner", "me", "--reason", "why")
        #expect(
            on.parameters
                == .init(netns: "web", state: .on, direction: .inbound, ttl: 900, owner: "me", reason: "why"))
        #expect(try parse(On.self, "on", "pid:1").parameters == .init(netns: "pid:1", state: .on, direction: .both))
    }

    @Test func `extend needs a time, and a decision can name what it was made on`() throws {
        let extend = try parse(Extend.self, "extend", "web", "--for", "15m", "--if-generation", "7")
        #expect(extend.parameters == .init(netns: "web", ttl: 900, ifGeneration: 7))
        #expect(throws: (any Error).self) { try parse(Extend.self, "extend", "web") }
        #expect(try parse(On.self, "on", "web", "--if-generation", "7").parameters.ifGeneration == 7)
        #expect(try parse(Off.self, "off", "web", "--if-generation", "7").parameters.ifGeneration == 7)
    }

    @Test func `off takes neither direction nor time`() throws {
        let off = try parse(Off.self, "off", "web", "--owner", "me", "--reason", "why")
        #expect(off.parameters == .init(netns: "web", state: .off, owner: "me", reason: "why"))
        #expect(throws: (any Error).self) { try parse(Off.self, "off", "web", "--direction", "both") }
        #expect(throws: (any Error).self) { try parse(Off.self, "off", "web", "--for", "1m") }
    }

    @Test(arguments: [
        ["on"], ["off"], ["status"], ["on", "web", "--direction", "up"], ["on", "web", "--for", "0"], ["list", "web"],
        ["nonsense"], ["policy", "check", "a", "b"], ["policy", "explain"],
        ["policy", "explain", "--user", "u", "--for", "1m"],
        ["policy", "explain", "--user", "u", "--netns", "a/b"],
        ["policy", "explain", "--user", "u", "--direction", "inbound"],
    ])
    func `A wrong command line has the exit code that sysexits gives it`(arguments: [String]) throws {
        let error = try #require(throws: (any Error).self) { try Bypassctl.parseAsRoot(arguments) }
        #expect(Bypassctl.exitCode(for: error).rawValue == 64)
    }

    @Test func `Every subcommand takes the socket and asks for JSON`() throws {
        let commands = [
            ["on", "web"], ["off", "web"], ["status", "web"], ["list"], ["info"], ["metrics"],
            ["extend", "web", "--for", "1m"],
        ]
        for arguments in commands {
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
