import MeshSandbox
import TestSupport
import Testing

extension EndToEndTests {
    /// A call is decided by one snapshot of the policy, whatever is reloaded while it waits.
    @Suite struct PolicyRaceTests {
        /// Python: puts a policy into effect, soon.
        private static let reload = """
            file, pid = args[0], int(args[1])
            def policy(grants):
                open(file + ".new", "w").write(grants)
                os.rename(file + ".new", file)
                os.kill(pid, signal.SIGHUP)
            """

        private static let program = """
            \(reload)
            limited = '[[grant]]\\nusers = [5000]\\nrole = "bypass"\\nmax-ttl = "10m"\\ndefault-ttl = "10m"\\n'
            nft(pod, crowd(2000))
            policy(limited)
            end = time.monotonic() + 4
            def toggle():
                client = Client()
                while time.monotonic() < end:
                    for state in "on", "off": assert "result" in client.call("bypass", pod, state)
            def ask():
                client, kinds = Client(5000), {"ended": 0, "endless": 0, "denied": 0}
                while time.monotonic() < end:
                    answer = client.call("bypass", pod, "on")
                    if "result" in answer:
                        kinds["endless" if answer["result"]["expiresAt"] is None else "ended"] += 1
                    else:
                        assert answer["error"]["code"] == -32001, answer
                        kinds["denied"] += 1
                report(kinds["ended"] > 0, kinds["denied"] > 0, kinds["endless"])
            children = [fork(toggle), fork(ask), fork(ask)]
            n = 0
            while time.monotonic() < end:
                policy(limited if n % 2 else "")
                n += 1
                time.sleep(0.003)
            policy(limited)
            wait(children)
            nft(pod, "delete table ip foreign\\n")
            """

        /// Two clients of a user with ten minutes at most, in a namespace that is busy, while the grant comes and goes.
        @Test func noReloadMakesABypassEndless() async throws {
            try await Rig.withoutDaemon(["--max-requests-per-second", "100000"]) { rig in
                try await rig.write(policy: "")
                try await rig.start()
                try await rig.openSocket()
                let printed = try await rig.clients(Self.program, [rig.policyFile, "\(try rig.daemon.pid)"])
                // Some had a ttl, some were denied, and none was endless.
                #expect(printed == ["True True 0", "True True 0"])
            }
        }

        private static let revocation = """
            \(reload)
            policy('[[grant]]\\nusers = [5000, 5001]\\nrole = "bypass"\\n')
            def until(condition):
                while not condition(): time.sleep(0.01)
            def may(uid): return "result" in Client(uid).call("list")
            until(lambda: may(5000))
            subscriber, tracer = Client(5000), Client(5001)
            assert "result" in subscriber.call("subscribe")
            assert "result" in tracer.call("trace", pod)
            root = Client()
            root.call("bypass", pod, "on")
            print(subscriber.answer()["method"])
            # What needs less goes on; what needs more does not.
            policy('[[grant]]\\nusers = [5001]\\nrole = "read"\\n')
            until(lambda: not may(5000))
            root.call("bypass", pod, "off")
            ip = ["ip", "netns", "exec", pod, "python3", "-c", "import socket; socket.socket().connect_ex(('127.0.0.1', 9))"]
            subprocess.run(ip, check=True)
            for client in subscriber, tracer:
                print(client.answer()["error"]["code"], client.answer())
            """

        /// Events and traces are no way around a new policy, which a call on the same connection would meet.
        @Test func whoMayNoLongerReadGetsNoMoreEvents() async throws {
            try await Rig.withoutDaemon { rig in
                try await rig.write(policy: "")
                try await rig.start()
                try await rig.openSocket()
                let printed = try await rig.clients(Self.revocation, [rig.policyFile, "\(try rig.daemon.pid)"])
                #expect(printed == ["on", "-32001 None", "-32001 None"])
            }
        }
    }
}
