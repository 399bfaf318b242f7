internal import ArgumentParser
internal import Console

/// `demo`: hands over to `kmesh-bypass-demo`, which has what makes network namespaces.
struct Demo: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show a bypass at work, in two network namespaces made for it.",
        discussion: """
            Executes \(program) with the same arguments: 'demo --help' shows them. Needs root.

            EXAMPLE
              sudo kmesh-bypassctl demo --mesh nftables
            """)

    private static let program = "kmesh-bypass-demo"

    @Argument(parsing: .captureForPassthrough, help: "Arguments of \(program).")
    var arguments: [String] = []

    func run() throws {
        guard let path = Console.program(Self.program) else {
            Console.printError(
                "\(Self.program) is neither beside kmesh-bypassctl nor in PATH: the package kmesh-bypassd or "
                    + "systemd/install.sh installs it, and 'swift build --product \(Self.program)' builds it")
            throw ExitCode(ExitStatus.failed.rawValue)
        }
        // Returns only if the program cannot be executed.
        Console.printError("cannot execute \(path): \(Console.execute(path, arguments))")
        throw ExitCode(ExitStatus.failed.rawValue)
    }
}
