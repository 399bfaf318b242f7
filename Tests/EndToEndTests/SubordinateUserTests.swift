import MeshSandbox
import TestSupport
import Testing

extension EndToEndTests {
    /// An account has 65,536 more uids (subuid(5)): they do not make it many users.
    @Suite struct SubordinateUserTests {
        private static let first = 3_000_000_000

        private static let program = """
            pid, account, first = map(int, args)
            ppoll = {"x86_64": "271", "aarch64": "73"}[os.uname().machine]
            def connections_are_idle():
                # Each waits for its client: a moment after its answer it is idle.
                for thread in os.listdir("/proc/%d/task" % pid):
                    folder = "/proc/%d/task/%s/" % (pid, thread)
                    try:
                        if open(folder + "comm").read() != "connection\\n": continue
                        if open(folder + "syscall").read().split()[0] != ppoll: return False
                    except OSError: pass
                return True
            def limit(answer): return answer.get("error", {}).get("data", {}).get("limit")
            def ask(uid):
                client = Client(uid)
                answer = limit(client.call("info"))
                while not connections_are_idle(): pass
                return client, answer
            def settled(count):
                while True:
                    # The daemon notices the end of a connection in its own time.
                    client = Client()
                    text = client.call("metrics")["result"]["text"]
                    client.close()
                    if int(re.search(r"^kmesh_bypass_connections (\\d+)", text, re.M).group(1)) == count + 1: return
            # The account's own uid and those of its range count together; the account's neighbours are others.
            held = [ask(uid) for uid in (account, first, first + 1, first + 999)]
            print([limit for _, limit in held])
            print([ask(uid)[1] for uid in (first + 500, account, first - 1, first + 1000)])
            for client, _ in held: client.close()
            settled(0)
            # Every account has one: who has been idle the longest gives way, whether the machine knows the uid or not.
            held = [ask(uid) for uid in (0, first + 7, 700001, 700002, 700004, 700003)]
            print([limit for _, limit in held])
            held[1][0].call("info")
            newcomer = ask(700010)
            print(newcomer[1], limit(held[2][0].answer()), held[2][0].answer())
            # The account has one already: another of its uids does not make room.
            print(ask(first + 8)[1])
            print(sorted({limit(client.call("info")) or "" for n, (client, _) in enumerate(held) if n != 2}))
            """

        @Test func anAccountAndItsSubordinatesAreOneUser() async throws {
            let limits = ["--max-connections", "6", "--max-user-connections", "4"]
            try await Rig.withoutDaemon(limits) { rig in
                try await rig.withUsers(others: ["owner"]) { users in
                    let owner = try #require(users["owner"])
                    // They go with the account.
                    let range = "\(Self.first)-\(Self.first + 999)"
                    try await rig.sandbox.run(["usermod", "--add-subuids", range, owner.name], in: .host)
                    try await rig.start()
                    try await rig.openSocket()
                    let printed = try await rig.clients(
                        Self.program, ["\(try rig.daemon.pid)", "\(owner.uid)", "\(Self.first)"])
                    #expect(
                        printed == [
                            "[None, None, None, None]",
                            "['user-connections', 'user-connections', None, None]",
                            "[None, None, None, None, None, None]",
                            "None connections None",
                            "connections",
                            "['']",
                        ])
                }
            }
        }
    }
}
