import ArgumentParser
import BypassAPI
import Testing

@testable import kmesh_bypassctl

@Suite struct CommandTests {
    @Test func `A malformed time is reported as a command line error`() throws {
        #expect(try TimeToLive.parse("15m").seconds == 900)
        let error = try #require(throws: ValidationError.self) { try TimeToLive.parse("1w") }
        #expect(error.message.contains("15m"))
    }

    @Test func `on takes all options`() throws {
        let on = try parse(
            On.self, "on", "web", "--direction", "inbound", "--for", "15m", "--owner", "me", "--reason", "why")
        #expect(
            try on.parameters
                == .init(netns: "web", state: .on, direction: .inbound, ttl: 900, owner: "me", reason: "why"))
        #expect(
            try parse(On.self, "on", "web", "--reset").parameters
                == .init(netns: "web", state: .on, direction: .both, connections: .reset))
        #expect(
            try parse(Off.self, "off", "web", "--reset").parameters
                == .init(netns: "web", state: .off, connections: .reset))
        #expect(try parse(On.self, "on", "pid:1").parameters == .init(netns: "pid:1", state: .on, direction: .both))
    }

    @Test func `A scope is given by options that may be repeated, and by lists`() throws {
        let on = try parse(
            On.self, "on", "web", "--port", "8080,9000-9100", "--port", "53", "--network", "10.0.0.0/8,fd00::/8",
            "--except-port", "9050", "--except-network", "10.1.0.0/16")
        let scope = try on.scope.scope
        #expect(
            "\(scope)" == "only ports 53, 8080, 9000-9100 in networks 10.0.0.0/8, fd00::/8, "
                + "except port 9050 in network 10.1.0.0/16")
        let parameters = try on.parameters
        #expect(parameters.only == scope.only && parameters.except == scope.except)
        #expect(try parse(On.self, "on", "web", "--except-port", "1").parameters.only == nil)
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
        ["on"], ["off"], ["status", "a", "b"], ["on", "web", "--direction", "up"], ["on", "web", "--for", "0"],
        ["list", "web"],
        ["on", "web", "--port", "0"], ["on", "web", "--port", "80,"], ["on", "web", "--network", "10.0.0.1/8"],
        ["on", "web", "--except-port", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"], ["off", "web", "--port", "80"],
        ["policy", "explain", "--user", "u", "--port", "80"], ["nonsense"], ["policy", "check", "a", "b"],
        ["policy", "explain"],
        ["policy", "explain", "--user", "u", "--for", "1m"],
        ["policy", "explain", "--user", "u", "--netns", "a/b"],
        ["policy", "explain", "--user", "u", "--direction", "inbound"], ["status", "--rules"],
        ["trace", "web", "--for", "11m"], ["trace", "web", "--count", "0"],
    ])
    func `A wrong command line has the exit code that sysexits gives it`(arguments: [String]) throws {
        let error = try #require(throws: (any Error).self) { try Bypassctl.parseAsRoot(arguments) }
        #expect(Bypassctl.exitCode(for: error).rawValue == 64)
    }

    @Test func `Every subcommand takes the socket and asks for JSON`() throws {
        let commands = [
            ["on", "web"], ["off", "web"], ["list"], ["info"], ["metrics"],
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

    @Test func `Every help screen has an example`() throws {
        func commands(_ command: any ParsableCommand.Type) -> [any ParsableCommand.Type] {
            [command] + command.configuration.subcommands.flatMap(commands)
        }
        for command in commands(Bypassctl.self) where command.configuration.shouldDisplay {
            let words = [command.configuration.abstract, command.configuration.discussion].joined()
            #expect(words.contains("EXAMPLE"), "\(command)")
        }
    }
}
