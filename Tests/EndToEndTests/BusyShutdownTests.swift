import MeshSandbox
import TestSupport
import Testing

extension EndToEndTests {
    /// SIGTERM while everything is under way: calls, ends of bypasses, repairs, reloads, lists and subscribers.
    @Suite struct BusyShutdownTests {
        private static let program = """
            folder, command = args[0], args[1:]
            log = os.open(folder + "/log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            quiet = pod + "-more"
            subprocess.run(["ip", "netns", "add", quiet], check=True)
            def start():
                pid = os.fork()
                if pid: 
                    while True:
                        try:
                            Client().call("info")
                            return pid
                        except OSError: time.sleep(0.002)
                os.dup2(log, 2)
                os.execv(command[0], command)
            def toggle(name, number):
                # Ends with the connection, between two answers.
                client, n = Client(), 0
                try:
                    while True:
                        client.send("bypass", name, *(["on", "both", 1] if n % 2 else ["off"]), id=n)
                        answer = client.file.readline()
                        if not answer: break
                        assert answer.endswith(b"\\n"), answer
                        answer = json.loads(answer)
                        assert answer["id"] == n and "result" in answer, answer
                        n += 1
                except ConnectionError: pass
                assert n > 0 or number
            def listen():
                # Subscribers and lists are ended, too.
                client = Client()
                try:
                    client.call("subscribe")
                    while client.file.readline(): pass
                    client = Client()
                    while "result" in (client.call("list") or {}): pass
                except ConnectionError: pass
            def damage(end):
                # What makes the daemon repair, which it does beside the calls.
                while not select.select([end], [], [], 0)[0]:
                    subprocess.run(["ip", "netns", "exec", quiet, "nft", "flush", "ruleset"], check=True)
            try:
                longest = 0
                for round in range(20):
                    pid = start()
                    Client().call("bypass", quiet, "on")
                    end, going = os.pipe()
                    children = [fork(lambda n=n: toggle([pod, quiet][n % 2], n)) for n in range(4)]
                    children.append(fork(lambda: (os.close(going), damage(end))))
                    children.append(fork(listen))
                    time.sleep(0.1 + 0.017 * round)
                    for _ in range(3): os.kill(pid, signal.SIGHUP)
                    begun = time.monotonic()
                    os.kill(pid, signal.SIGTERM)
                    deadline = begun + 10
                    while True:
                        done, code = os.waitpid(pid, os.WNOHANG)
                        if done: break
                        if time.monotonic() > deadline: os.kill(pid, signal.SIGKILL)
                        time.sleep(0.005)
                    assert os.waitstatus_to_exitcode(code) == 0, (round, os.waitstatus_to_exitcode(code))
                    longest = max(longest, time.monotonic() - begun)
                    os.close(going)
                    os.close(end)
                    wait(children)
                print("20 ends", file=sys.stdout)
                print("longest %.2f s" % longest, file=sys.stderr)
            finally:
                subprocess.run(["ip", "netns", "delete", quiet])
            """

        @Test func theDaemonEndsInTimeWhateverIsUnderWay() async throws {
            try await Rig.withoutDaemon { rig in
                let command = rig.command(["--check-interval", "1"])
                let printed = try await rig.clients(Self.program, [rig.folder.path] + command, within: 60)
                #expect(printed == ["20 ends"])
            }
        }
    }
}
