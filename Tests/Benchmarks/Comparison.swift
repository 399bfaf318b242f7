import Glibc
import Linux
import MeshSandbox

/// `on` and `off` over the socket, interleaved with the executions of iptables that the usual controller makes.
enum Comparison {
    static func measure(_ daemon: DaemonProcess, rounds: Int) async throws {
        try await MeshSandbox.with { sandbox in
            try await sandbox.install(.iptables)
            let pod = sandbox.pod
            try await Thread.run { try measure(daemon, pod, rounds) }
        }
    }

    private static func measure(_ daemon: DaemonProcess, _ pod: String, _ rounds: Int) throws {
        let client = try LineClient(daemon.socket)
        let namespace = try NetworkNamespace(path: "/run/netns/" + pod)
        var (on, off, oldOn, oldOff) = (Figures(), Figures(), Figures(), Figures())
        for _ in 0..<rounds {
            Thread.pause(milliseconds: 40)
            try Call.check(on.time { try client.call(Call.bypass(pod, "on")) })
            Thread.pause(milliseconds: 40)
            try Call.check(off.time { try client.call(Call.bypass(pod, "off")) })
            // IPv4 only: delete what may be there, insert, twice; and delete again.
            let chains = ["PREROUTING", "OUTPUT"]
            Thread.pause(milliseconds: 40)
            try oldOn.time {
                for chain in chains { try iptables(["-D", chain, "-j", "RETURN"], in: namespace) }
                for chain in chains { try iptables(["-I", chain, "1", "-j", "RETURN"], in: namespace) }
            }
            Thread.pause(milliseconds: 40)
            try oldOff.time { for chain in chains { try iptables(["-D", chain, "-j", "RETURN"], in: namespace) } }
        }
        print("\(rounds) rounds, interleaved, each call 40 ms after the last:")
        print(on.row("on, over the socket"))
        print(off.row("off, over the socket"))
        print(oldOn.row("on, 4 iptables executions"))
        print(oldOff.row("off, 2 iptables executions"))
        print("ratio of the medians: on \(ratio(oldOn, on)), off \(ratio(oldOff, off))\n")
    }

    private static func ratio(_ old: Figures, _ new: Figures) -> String {
        "\(Int((old.median / new.median * 10).rounded()) / 10)x"
    }

    /// Executes iptables in the namespace, without a shell and without nsenter, as a controller does.
    private static func iptables(_ arguments: [String], in namespace: borrowing NetworkNamespace) throws {
        let words = ["iptables", "-t", "nat"] + arguments
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
        var pointers = unsafe words.map { unsafe strdup($0) } + [nil]
        defer { for index in 0..<words.count { unsafe free(pointers[index]) } }
        var pid: pid_t = 0
        try namespace.withEntered { () throws(SystemCallError) in
            _ = unsafe posix_spawnp(&pid, words[0], &actions, nil, &pointers, environ)
        }
        var status: CInt = 0
        try systemCall("waitpid") { unsafe waitpid(pid, &status, 0) }
    }
}
