internal import ArgumentParser

/// `policy`: what holds, told without the daemon.
struct PolicyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy",
        abstract: "Check the policy file, and tell who may do what.",
        discussion: "Needs neither root nor the daemon.",
        subcommands: [PolicyCheck.self, PolicyExplain.self]
    )
}
