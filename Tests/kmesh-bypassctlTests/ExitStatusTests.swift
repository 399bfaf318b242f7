import BypassAPI
import JSONRPC
import Linux
import Testing

@testable import BypassClient
@testable import kmesh_bypassctl

@Suite struct ExitStatusTests {
    private static let statuses: [(ErrorCode, Int32)] = [
        (.permissionDenied, 4), (.hostNetnsRefused, 4), (.netnsNotFound, 5), (.notANetns, 5), (.kernelRefused, 1),
        (.unsupported, 1), (.limitExceeded, 1),
    ]

    @Test(arguments: statuses)
    func `The daemon's errors have the exit codes that the help lists`(code: ErrorCode, status: Int32) {
        let error = DaemonError(ErrorObject(code: code.rawValue, message: "no"))
        #expect(ExitStatus(.refused(error)).rawValue == status)
    }

    @Test(arguments: BypassStatus.Effect.allCases, BypassStatus.State.allCases)
    func `A bypass that does not do all that was asked for has the exit code 2`(
        effect: BypassStatus.Effect, state: BypassStatus.State
    ) {
        let bypass = BypassStatus(netns: "web", inode: 1, state: state, effective: effect.isEffective, effect: effect)
        let isFailure = state != .off && [.partial, .ineffective].contains(effect)
        #expect(ExitStatus(bypass)?.rawValue == (isFailure ? 2 : nil))
    }

    @Test func `What comes before the daemon's word has its own`() {
        #expect(ExitStatus(.daemonNotRunning(path: "s")).rawValue == 3)
        #expect(ExitStatus(.accessDenied(path: "s")).rawValue == 4)
        #expect(ExitStatus(.refused(DaemonError(.invalidParams))).rawValue == 64)
        for error in [BypassClientError.connectionClosed, .timedOut, .invalidAnswer("x")] {
            #expect(ExitStatus(error).rawValue == 1)
        }
    }

    @Test func `Messages say what to do`() {
        let start = Systemd.isBooted ? "with 'systemctl start kmesh-bypassd'" : "'sudo kmesh-bypassd' runs it"
        let words = advice(on: .daemonNotRunning(path: Product.socketPath))
        #expect(words.hasPrefix("no daemon listens on /run/kmesh/bypassd.sock: start it") && words.contains(start))
        #expect(advice(on: .daemonNotRunning(path: "s")).contains("--socket"))
        #expect(advice(on: .accessDenied(path: "s")).contains("'kmesh'"))
        #expect(advice(on: .timedOut).contains("journalctl -u kmesh-bypassd") == Systemd.isBooted)
        #expect(advice(on: .refused(DaemonError(.invalidParams.detailed("netns is empty")))) == "netns is empty")
        #expect(advice(on: .refused(DaemonError(ErrorObject(code: -32002, message: "no such")))) == "no such")
    }
}
