import MeshSandbox
import TestSupport
import Testing

extension EndToEndTests {
    /// What connections cost: a thread and a descriptor each as long as they are there, and little memory.
    @Suite struct ConnectionCountTests {
        private static let program = """
            pid, perIdle = int(args[0]), 0
            for _ in range(50): Client().call("info")
            def settled(threads, files):
                end = time.monotonic() + 10
                while status(pid, "Threads") > threads or descriptors(pid) > files:
                    assert time.monotonic() < end, (status(pid, "Threads"), threads, descriptors(pid), files)
                    time.sleep(0.01)
            time.sleep(0.2)
            threads, files = status(pid, "Threads"), descriptors(pid)
            for n in range(1000):
                client = Client(5000 + n % 7)
                client.send("info")
                if n % 3: client.answer()
                client.close()
            settled(threads, files)
            peak, rest = 0, 0
            held = []
            for n in range(400):
                held.append(Client(5000 + n % 20))
                held[-1].send("info")
            for client in held: client.answer()
            # 64 refused ones may linger, and as many that had to give way.
            peak, open_ = status(pid, "Threads") - threads, descriptors(pid) - files
            def asks(client):
                try: return "result" in client.call("info")
                except OSError: return False
            root = [Client() for _ in range(12)]
            admitted = sum(asks(client) for client in root)
            for client in held + root: client.close()
            settled(threads, files)
            held = [Client(5000 + n % 20) for n in range(200)]
            for client in held: client.send("info")
            for client in held: client.answer()
            for client in held: client.close()
            settled(threads, files)
            before = status(pid, "VmRSS")
            held = [Client(5000 + n % 20) for n in range(200)]
            for _ in range(3):
                for client in held: client.send("status", pod)
                for client in held: client.answer()
            cold = status(pid, "VmRSS")
            print(peak, open_, admitted, (cold - before) * 1024 // 200)
            """

        @Test func threadsAndDescriptorsGoWithTheirConnections() async throws {
            try await Rig.withoutDaemon { rig in
                try await rig.start()
                try await rig.openSocket()
                let printed = try await rig.clients(Self.program, ["\(try rig.daemon.pid)"])
                let numbers = printed.flatMap { $0.split(separator: " ").compactMap { Int($0) } }
                print("threads, descriptors, root's own, bytes for an idle connection: \(numbers)")
                try #require(numbers.count == 4)
                // At most 256, and 64 that are refused and 64 that gave way and may still read why.
                #expect(numbers[0] >= 256 && numbers[0] <= 256 + 64 + 64)
                // Nor more descriptors: one for each, and one for the process behind it until that is known.
                #expect(numbers[1] <= 2 * (256 + 64 + 64))
                #expect(numbers[2] == 8)
                // 32 KiB in a release build.
                #expect(numbers[3] <= 64 * 1024)
            }
        }

        private static let blankLines = """
            def ask(uid):
                client, begun = Client(uid), time.monotonic()
                client.socket.sendall(b"\\n" * 100 + b" \\r\\n" * 100 + line("info", id=9))
                answer = client.answer()
                assert answer["id"] == 9, answer
                client.socket.shutdown(socket.SHUT_WR)
                assert client.answer() is None
                return time.monotonic() - begun
            print(ask(0) < 0.5, ask(5000) > 0.9)
            """

        @Test func blankLinesCountLikeRequestsAndGetNoAnswer() async throws {
            try await Rig.withoutDaemon(["--max-requests-per-second", "100"]) { rig in
                try await rig.start()
                try await rig.openSocket()
                // A hundred at once, a hundred and one more in a second; root may send what it likes.
                #expect(try await rig.clients(Self.blankLines) == ["True True"])
            }
        }
    }
}
