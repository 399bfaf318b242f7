import Linux
import MeshSandbox
import SystemPackage
import TestSupport
import Testing

extension EndToEndTests {
    /// Descriptors that clients send to the daemon, which wants none: to close one can take as long as its sender likes.
    @Suite struct PassedDescriptorTests {
        /// Python: gives a client's connection a descriptor whose last `close` waits for an hour.
        private static let poison = """
            sink = socket.create_server(("127.0.0.1", 0), backlog=1000)
            sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            def poison(client, way="with a line"):
                tcp = socket.create_connection(sink.getsockname())
                tcp.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
                tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\\x01\\0\\0\\0\\x10\\x0e\\0\\0")
                tcp.setblocking(False)
                try:
                    while True: tcp.send(bytes(65536))
                except BlockingIOError: pass
                try:
                    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", tcp.fileno()))]
                    if way == "behind a line": client.send("info")
                    if way == "with a line": client.socket.sendmsg([line("info")], rights)
                    else: client.socket.sendmsg([b"!"], rights, socket.MSG_OOB)
                except OSError:
                    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes(8))
                    raise
                finally:
                    # Who takes the descriptor and closes it at once leaves the last close, and its wait, to this process.
                    closing = threading.Thread(target=tcp.close, daemon=True)
                    closing.start()
                    closing.join(0.05)
            """

        /// Plays systemd: what is sent before the daemon starts is in the queue of its socket.
        private static let program = """
            folder, refused, command = args[0], int(args[1]), args[2:]
            os.chmod(folder, 0o755)
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(path)
            listener.listen(1000)
            os.chmod(path, 0o666)
            \(poison)
            early = [Client(5000) for _ in range(refused)]
            poisoned = [Client(5000 if refused else 5001 + n) for n in range(2)]
            for client in poisoned: poison(client)
            later = [Client(5000) for _ in range(refused)]
            log = os.open(folder + "/log", os.O_CREAT | os.O_WRONLY)
            pid = os.fork()
            if pid == 0:
                os.dup2(listener.fileno(), 3)
                os.set_inheritable(3, True)
                os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
                os.dup2(log, 2)
                os.execv(command[0], command)
            ended = False
            try:
                begun = time.monotonic()
                for uid in 0, 0, 0: assert "result" in Client().call("info")
                took = time.monotonic() - begun
                # From now on the kernel refuses them, as it has for everybody who connected later.
                client = Client(5010)
                try:
                    poison(client)
                    print("taken")
                except PermissionError:
                    print("EPERM")
                assert client.call("info")["error"]["code"] == -32001
                print(took < 3)
                if not refused: assert [client.answer()["error"]["code"] for client in poisoned] == [-32600, -32600]
                # None is kept for a client that was turned away, once those have had the time to read why.
                deadline = time.monotonic() + 10
                while descriptors(pid) > 130 and time.monotonic() < deadline: time.sleep(0.05)
                print(descriptors(pid), file=sys.stderr)
                print(descriptors(pid) <= 130)
                begun = time.monotonic()
                os.kill(pid, signal.SIGTERM)
                ended = True
            finally:
                # A thread that waits in a close would hold it up for the 10 seconds that a connection gets at the end.
                deadline = time.monotonic() + (5 if ended else 0)
                while True:
                    done, status = os.waitpid(pid, os.WNOHANG)
                    if done: break
                    if time.monotonic() > deadline:
                        os.kill(pid, signal.SIGKILL)
                        print("killed")
                        os.waitpid(pid, 0)
                        sys.exit(0)
                    time.sleep(0.01)
                print(os.waitstatus_to_exitcode(status), file=sys.stderr if not ended else sys.stdout)
            print("ended after %.1f s" % (time.monotonic() - begun), file=sys.stderr)
            """

        /// With none, the connections that brought descriptors are served; with so many before them, they are refused, and
        /// not for want of room among those that may read why.
        @Test(arguments: [0, 130])
        func noClientIsHeldUpByWhatAnotherHasSent(_ connectionsBefore: Int) async throws {
            try await Rig.withoutDaemon { rig in
                let printed = try await rig.clients(
                    Self.program, [rig.folder.path, "\(connectionsBefore)"] + rig.command(), within: 60)
                // The kernel refuses new ones, everybody is answered in time, and the daemon's end is its usual one.
                #expect(printed == ["EPERM", "True", "True", "0"])
            }
        }

        /// As before Linux 6.16: the daemon cannot have the kernel refuse descriptors.
        @Test func onOlderKernelsTheyCostTheirSenderTheConnection() async throws {
            try await Rig.withoutDaemon { rig in
                let faults = try Faults(in: rig.folder.path)
                faults.plan.arm(.fail(.protocolNotAvailable), at: "setsockopt SO_PASSRIGHTS", times: .max)
                try await rig.start(environment: faults.environment)
                try await rig.sandbox.run(["chmod", "755", rig.folder.path], in: .host)
                try await rig.sandbox.run(["chmod", "666", rig.socket], in: .host)
                let printed = try await rig.clients(Self.manyProgram, ["\(try rig.daemon.pid)"], within: 60)
                #expect(printed == ["-32600", "True", "-32700", "[-32001, -32600]", "300", "True"])
                // Threads that wait in a close would keep it from ending.
                try rig.daemon.kill(15)
                let began = ContinuousClock.now
                #expect(try await rig.daemon.exit() == .code(0))
                #expect(ContinuousClock.now - began < .seconds(5))
                try await rig.start()
            }
        }

        private static let manyProgram = """
            pid = int(args[0])
            \(poison)
            watcher = Client()
            watcher.call("info")
            before, threads = descriptors(pid), status(pid, "Threads")
            served = Client(5000)
            assert served.call("info")
            poison(served)
            answer = served.answer()
            print(answer["error"]["code"])
            try: more = served.answer()
            except ConnectionResetError: more = None
            print("SCM_RIGHTS" in answer["error"]["message"] and more is None)
            # Urgent bytes are bytes, and nothing to turn round and round for.
            urgent = Client(5000)
            urgent.socket.send(b"!", socket.MSG_OOB)
            def ticks(): return sum(map(int, open("/proc/%d/stat" % pid).read().rsplit(")")[-1].split()[11:13]))
            used = ticks()
            time.sleep(0.5)
            assert ticks() - used < 10
            urgent.socket.send(b"\\n")
            print(urgent.answer()["error"]["code"])
            urgent.close()
            behind = Client(5002)
            poison(behind, "behind a line")
            print([behind.answer()["error"]["code"] for _ in range(2)])
            # Some are served, some are turned away and get time to read why, and some get none.
            done, longest = 0, 0
            for n in range(300):
                client = Client(5001)
                try: poison(client, ("with a line", "as urgent", "behind a line")[n % 3])
                except (BrokenPipeError, ConnectionResetError): pass
                done += 1
                if n % 10 == 0:
                    begun = time.monotonic()
                    assert "result" in watcher.call("info")
                    longest = max(longest, time.monotonic() - begun)
            print(done)
            assert longest < 1, longest
            deadline = time.monotonic() + 10
            def left(): return descriptors(pid) > before or status(pid, "Threads") > threads
            while (some := left()) and time.monotonic() < deadline: time.sleep(0.05)
            print(not some)
            if some: print(descriptors(pid), before, status(pid, "Threads"), threads, file=sys.stderr)
            """
    }
}
