import BypassAPI
import Console
import Glibc
import Linux

@main
struct Main {
    static func main() {
        let arguments = CommandLine.arguments.dropFirst()
        if arguments.first == "repair" {
            exit(run(RepairCommand(), RepairCommand.parser, arguments.dropFirst()))
        }
        exit(run(DaemonCommand(), DaemonCommand.parser, arguments))
    }

    /// Reads the arguments of a command and runs it.
    ///
    /// - Returns: the exit status.
    private static func run<C: Command>(
        _ defaults: C, _ parser: OptionParser<C>, _ arguments: ArraySlice<String>
    ) -> Int32 {
        do throws(UsageError) {
            switch try parser.parse(arguments, into: defaults) {
            case .help: return show(parser.help)
            case .version: return show("\(Product.name) \(Product.fullVersion)\n")
            case .settings(let command):
                try command.validate()
                return command.run()
            }
        } catch {
            printError(parser.text(of: error))
            // EX_USAGE of sysexits.h.
            return 64
        }
    }
}

/// Prints a text that was asked for.
///
/// - Returns: the exit status.
func show(_ text: String) -> Int32 {
    do throws(OutputError) {
        try Console.print(text)
        return 0
    } catch {
        error.report()
        return 1
    }
}

/// The actions of the program.
protocol Command {
    func validate() throws(UsageError)

    /// - Returns: the exit status.
    func run() -> Int32
}
